"""A request's schedule, guidance and size, with the defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from wancore.checkpoints.defaults import ModelDefaults
from wancore.errors import InvalidInput
from wancore.plugins import lead
from wancore.plugins.family import Base
from wancore.request import Request
from wancore_talking.buckets import bucket
from wancore_talking.guidance import Scales
from wancore_talking.parameters import TalkingParameters

FPS = Fraction(25)
FEW_STEPS = 8  # up to here a model must be step-distilled
LARGE = 640 * 720  # pixels: beyond the 480 sizes


@dataclass(frozen=True)
class Sampling:
    """Upstream's defaults, or those for weights distilled to a few steps."""

    steps: int
    solver: str
    shift: float
    scales: Scales


def suited(request: Request, defaults: ModelDefaults) -> Request:
    """With the checkpoint's own defaults; the length is the sound's."""
    return lead.suited(request, defaults.model_copy(update={"frames": None}))


def settled_sampling(request: Request, parameters: TalkingParameters, pixels: int) -> Sampling:
    """`pixels` of a frame: more of them take a larger shift."""
    steps = len(request.sigmas) - 1 if request.sigmas else request.steps
    distilled = parameters.distilled
    if distilled is None:
        distilled = steps is not None and steps <= FEW_STEPS
    usual = few() if distilled else many(pixels)
    text = usual.scales.text if request.guidance is None else one_scale(request.guidance)
    audio = usual.scales.audio if parameters.audio_scale is None else parameters.audio_scale
    return Sampling(
        steps or usual.steps,
        request.solver or usual.solver,
        request.shift or usual.shift,
        Scales(text, audio),
    )


def few() -> Sampling:
    """Even levels down to 0. Upstream's end in a step from 0.007 at shift 7, one of few for nothing."""
    return Sampling(4, "euler", 5.0, Scales(1.0, 2.0))


def many(pixels: int) -> Sampling:
    return Sampling(40, "multitalk", 11.0 if pixels > LARGE else 7.0, Scales(5.0, 4.0))


def one_scale(scales: tuple[float, ...]) -> float:
    if len(scales) != 1:
        raise InvalidInput("guidance", list(scales), "one scale, of the text; audio_scale is a parameter")
    return scales[0]


def settled_size(
    request: Request, parameters: TalkingParameters, base: Base, picture: tuple[int, int]
) -> tuple[int, int]:
    """(height, width): as asked for, or the trained size nearest in shape to the picture (height, width)."""
    if request.size is None:
        return bucket(*picture, parameters.resolution)
    width, height = lead.settled_size(request, base, request.size.width, request.size.height)
    return height, width
