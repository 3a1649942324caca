"""The released models: how to tell them apart, and what each was made to be run with.

Source of the figures: Wan-Video/Wan2.1 and Wan2.2, `generate.py` and `configs/`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from wancore_wan.prompts import NEGATIVE, NEGATIVE_FLF2V, NEGATIVE_I2V

if TYPE_CHECKING:
    from wancore.checkpoints.base_keys import BaseSpec
    from wancore.checkpoints.defaults import ModelDefaults
    from wancore.checkpoints.view import FileView


@dataclass(frozen=True)
class Variant:
    """Sampling defaults of one model.

    `guidance`: one scale per expert, in the order of use. `small_shift`: the shift at 480p sizes.
    `image`: whether the first frame is given ("none", "optional", "required"); `last_image` likewise.
    """

    id: str
    help: str
    steps: int
    shift: float
    guidance: tuple[float, ...]
    width: int = 832
    height: int = 480
    frames: int = 81
    fps: Fraction = Fraction(16)
    boundary: float | None = None
    small_shift: float | None = None
    negative: str = NEGATIVE
    image: str = "none"
    last_image: bool = False
    clip: bool = False


VARIANTS = {
    v.id: v
    for v in (
        Variant("t2v", "Wan 2.1 text to video", 50, 5.0, (5.0,)),
        Variant(
            "i2v", "Wan 2.1 image to video", 40, 5.0, (5.0,),
            small_shift=3.0, negative=NEGATIVE_I2V, image="required", clip=True,
        ),
        Variant(
            "flf2v", "Wan 2.1 first and last frame to video", 50, 16.0, (5.5,),
            width=1280, height=720, negative=NEGATIVE_FLF2V, image="required", last_image=True, clip=True,
        ),
        Variant("t2v-a14b", "Wan 2.2 text to video, two experts", 40, 12.0, (4.0, 3.0), boundary=0.875),
        Variant(
            "i2v-a14b", "Wan 2.2 image to video, two experts", 40, 5.0, (3.5, 3.5),
            boundary=0.9, image="required",
        ),
        Variant(
            "ti2v", "Wan 2.2 text or image to video", 50, 5.0, (5.0,),
            width=1280, height=704, frames=121, fps=Fraction(24), image="optional",
        ),
    )
}  # fmt: skip

#: Area of the 480p sizes, which some models run with a smaller shift.
SMALL_AREA = 832 * 480
I2V_CHANNELS = 36  # 16 noise, 4 mask, 16 image latent
TI2V_CHANNELS = 48


def variant_of(config: BaseSpec, view: FileView) -> str | None:
    """The variant a transformer's shape says it is; None for a shape that no base Wan model has.

    `model_type` of a config.json is asked for what shapes cannot tell: a text-and-image model over
    the 16-channel VAE. The number of experts is not known from one file.
    """
    declared = (view.config or {}).get("model_type")
    if config.image_positions is not None:
        return "flf2v"
    if config.image_dim is not None:
        return "i2v" if config.in_dim == I2V_CHANNELS else None
    if config.in_dim == I2V_CHANNELS and config.out_dim == 16:
        return "i2v-a14b"
    if config.in_dim != config.out_dim:
        return None
    if config.in_dim == TI2V_CHANNELS or declared == "ti2v":
        return "ti2v"
    return "t2v" if config.in_dim == 16 else None


def suited(variant: Variant, defaults: ModelDefaults) -> Variant:
    """The variant with what the checkpoint itself says it is best run with."""
    given = defaults.model_dump(exclude_none=True, exclude={"negative_prompt", "fps", "solver", "pictures"})
    if defaults.negative_prompt is not None:
        given["negative"] = defaults.negative_prompt
    if defaults.fps is not None:
        given["fps"] = Fraction(defaults.fps).limit_denominator(1001)
    if defaults.shift is not None:
        given["small_shift"] = None
    return replace(variant, **given)


def with_experts(variant: str, experts: int) -> Variant:
    """The variant of a model with this many transformers."""
    return VARIANTS["t2v-a14b" if variant == "t2v" and experts == 2 else variant]
