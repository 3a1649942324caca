"""MAGREF as a family."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from wancore.errors import InvalidInput
from wancore.plugins.bases import reads_image, require_image
from wancore.plugins.claims import claim_by_name
from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Base, DecodeSpan, FamilyBase, Lead
from wancore.plugins.inputs import InputType, parse_parameters
from wancore.plugins.lead import LeadDefaults, settled_lead
from wancore.plugins.several import Several
from wancore_magref.grids import MOST, grid_size
from wancore_magref.parameters import Parameters
from wancore_magref.prompts import NEGATIVE

if TYPE_CHECKING:
    from wancore.checkpoints.base_keys import BaseSpec
    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.request import Request
    from wancore.transformer.canvas import Canvas

DEFAULTS = LeadDefaults(
    width=832, height=480, frames=77, fps=Fraction(15), steps=40, shift=3.0, guidance=(5.0,),
    negative_prompt=NEGATIVE,
)  # fmt: skip
DROPPED = 4  # pixel frames that show the canvas
PICTURES = Several("image", InputType.IMAGE, "pictures", MOST)


class MagrefFamily(FamilyBase):
    """Wan2.1-I2V-14B-480P, retrained to read a collage of pictures in place of a first frame."""

    id = "magref"
    name = "MAGREF"
    help = "a video of the people, things and places in up to eight pictures"
    inputs = PICTURES.specs
    parameters = Parameters

    def recognise(self, file: FileView) -> Claim | None:
        return claim_by_name(file, self.id, fits, alternatives=("wan",))

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        require_image(base, weights, self.name)
        placed(request)

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        return settled_lead(request, base, DEFAULTS)

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Conditioning:
        from wancore_magref.prepare import prepare

        return prepare(request, placed(request), base, lead, tools)

    def decode(self, canvas: Canvas) -> Sequence[DecodeSpan]:
        """Without the first frames, in which the pictures still stand on their canvas."""
        return (DecodeSpan(0, canvas.frames, drop=DROPPED),)


def fits(spec: BaseSpec) -> bool:
    """Whether a model reads one first frame, as the one does that was retrained."""
    return reads_image(spec) and spec.image_positions is None


def placed(request: Request) -> dict[str, int]:
    """The role of each picture, in their order -> its block on the canvas. Raises `InvalidInput`."""
    roles = PICTURES.given(request.inputs)
    count, blocks = len(roles), grid_size(len(roles))
    chosen = parse_parameters(Parameters, request.params).places
    places = tuple(range(count)) if chosen is None else chosen
    if len(places) != count or len(set(places)) != count or max(places) >= blocks:
        accepted = f"{count} different numbers, one for each picture, 0 to {blocks - 1}"
        raise InvalidInput("params.places", list(places), accepted)
    return dict(zip(roles, places, strict=True))
