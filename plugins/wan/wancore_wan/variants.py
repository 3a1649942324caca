"""The released models: how to tell them apart, and what each was made to be run with.

Source of the figures: Wan-Video/Wan2.1 and Wan2.2, `generate.py` and `configs/`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from wancore.plugins.bases import LATENT, MASK, reads_image, reads_text_only
from wancore.plugins.lead import LeadDefaults
from wancore_wan.prompts import NEGATIVE, NEGATIVE_FLF2V, NEGATIVE_I2V

if TYPE_CHECKING:
    from wancore.checkpoints.base_keys import BaseSpec
    from wancore.checkpoints.view import FileView


#: The defaults that most of the models share.
USUAL = LeadDefaults(
    width=832, height=480, frames=81, fps=Fraction(16), steps=50, shift=5.0, guidance=(5.0,),
    negative_prompt=NEGATIVE,
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One model, and what it is run with by default.

    `small_shift`: the shift at 480p sizes. `image`: whether the first frame is given ("none", "optional",
    "required"); `last_image` likewise. `clip`: it reads CLIP features.
    """

    id: str
    help: str
    published: LeadDefaults
    small_shift: float | None = None
    image: str = "none"
    last_image: bool = False
    clip: bool = False

    def defaults(self, pixels: int) -> LeadDefaults:
        """For frames of so many pixels."""
        if self.small_shift is None or pixels > SMALL_AREA:
            return self.published
        return replace(self.published, shift=self.small_shift)


VARIANTS = {
    v.id: v
    for v in (
        Variant("t2v", "Wan 2.1 text to video", USUAL),
        Variant(
            "i2v", "Wan 2.1 image to video", replace(USUAL, steps=40, negative_prompt=NEGATIVE_I2V),
            small_shift=3.0, image="required", clip=True,
        ),
        Variant(
            "flf2v", "Wan 2.1 first and last frame to video",
            replace(
                USUAL, width=1280, height=720, shift=16.0, guidance=(5.5,), negative_prompt=NEGATIVE_FLF2V
            ),
            image="required", last_image=True, clip=True,
        ),
        Variant(
            "t2v-a14b", "Wan 2.2 text to video, two experts",
            replace(USUAL, steps=40, shift=12.0, guidance=(4.0, 3.0), boundary=0.875),
        ),
        Variant(
            "i2v-a14b", "Wan 2.2 image to video, two experts",
            replace(USUAL, steps=40, guidance=(3.5, 3.5), boundary=0.9),
            image="required",
        ),
        Variant(
            "ti2v", "Wan 2.2 text or image to video",
            replace(USUAL, width=1280, height=704, frames=121, fps=Fraction(24)),
            image="optional",
        ),
    )
}  # fmt: skip

#: Area of the 480p sizes, which some models run with a smaller shift.
SMALL_AREA = 832 * 480
I2V_CHANNELS = 2 * LATENT + MASK
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
        return "i2v" if reads_image(config) else None
    if config.in_dim == I2V_CHANNELS and config.out_dim == LATENT:
        return "i2v-a14b"
    if config.in_dim != config.out_dim:
        return None
    if config.in_dim == TI2V_CHANNELS or declared == "ti2v":
        return "ti2v"
    return "t2v" if reads_text_only(config) else None


def with_experts(variant: str, experts: int) -> Variant:
    """The variant of a model with this many transformers."""
    return VARIANTS["t2v-a14b" if variant == "t2v" and experts == 2 else variant]
