"""What a user can set of each method."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wancore.plugins.inputs import ParameterModel
from wancore.sampling.parameters import Integers, Texts


class Ranged(ParameterModel):
    """A method that acts during a share of the run."""

    start: float = Field(0.0, ge=0, le=1, description="share of the run after which it acts, 0..1")
    end: float = Field(1.0, ge=0, le=1, description="share of the run until which it acts, 0..1")


class ZeroStarParameters(ParameterModel):
    scaled: bool = Field(True, description="scale the unconditional prediction to fit the conditional one")
    zero_steps: int = Field(1, ge=0, description="first steps whose prediction is replaced by zero")


class RatioParameters(ParameterModel):
    alpha: float = Field(1.0, gt=0, description="how fast guidance falls where it is already strong")


class FrequencyParameters(ParameterModel):
    low: float = Field(1.0, ge=0, description="factor on low spatial frequencies of the guidance")
    high: float = Field(1.25, ge=0, description="factor on high spatial frequencies of the guidance")
    cutoff: int = Field(20, ge=0, description="half width of the square of low frequencies, in latent pixels")


class RescalingParameters(ParameterModel):
    k: float = Field(0.95, gt=0, description="inverse temperature: above 1 sharper, below 1 more varied")
    sigma: float = Field(1.0, gt=0, description="assumed spread of the data")


class SkipLayerParameters(Ranged):
    blocks: Integers = Field(
        (10,), min_length=1, description="blocks that passes without the prompt leave out"
    )
    start: float = Field(0.1, ge=0, le=1, description="share of the run after which it acts, 0..1")


class NormalizedAttentionParameters(ParameterModel):
    text: str = Field("", description="what to avoid; empty: the request's negative prompt")
    scale: float = Field(11.0, ge=1, description="strength of the extrapolation away from the text")
    tau: float = Field(2.5, gt=0, description="largest growth of a token's L1 norm")
    alpha: float = Field(0.25, ge=0, le=1, description="share of the guided result")


class EnhanceParameters(Ranged):
    weight: float = Field(2.0, ge=0, description="strength; the authors' example for Wan uses 4")
    grouping: Literal["position", "wrapper"] = Field(
        "position",
        description="which tokens are compared: those at one position, as published, or the mixture of"
        " positions that ComfyUI-WanVideoWrapper compares (only to reproduce its results)",
    )


class NoiseShuffleParameters(ParameterModel):
    size: int | None = Field(None, ge=1, description="latent frames of a window; none: the request's")
    overlap: int | None = Field(
        None, ge=0, description="latent frames two windows share; none: the request's"
    )


class FreeInitParameters(ParameterModel):
    rounds: int = Field(3, ge=1, description="how often the whole denoising is run")
    method: Literal["butterworth", "gaussian", "ideal", "box"] = Field(
        "butterworth", description="shape of the low-pass filter"
    )
    n: int = Field(4, ge=1, description="order of the Butterworth filter")
    d_s: float = Field(1.0, gt=0, le=1, description="spatial stop frequency, normalised")
    d_t: float = Field(1.0, gt=0, le=1, description="temporal stop frequency, normalised")


class LatentShiftParameters(Ranged):
    skip: int = Field(6, ge=1, description="latent frames by which the clip is rotated further at each step")


class RiflexParameters(ParameterModel):
    index: int = Field(6, ge=1, description="number of the time-axis frequency that is slowed, from 1")


class NtkParameters(ParameterModel):
    f: float = Field(1.0, gt=0, description="factor on the rotary base of time")
    h: float = Field(1.0, gt=0, description="factor on the rotary base of height")
    w: float = Field(1.0, gt=0, description="factor on the rotary base of width")


class PromptSplitParameters(ParameterModel):
    prompts: Texts = Field(
        min_length=1,
        description="prompts of the second and further parts of the clip;"
        " the request's own prompt is that of the first part",
    )
    steps: Integers = Field((), description="steps, from 0, at which the parts do not see each other at all")
