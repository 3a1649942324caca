"""Phantom as a family."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from wancore.errors import InvalidInput
from wancore.plugins.bases import reads_text_only, require_text_only
from wancore.plugins.claims import claim_by_name
from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Base, Carry, FamilyBase, Lead, Window
from wancore.plugins.inputs import InputType, parse_parameters
from wancore.plugins.lead import LeadDefaults, settled_lead
from wancore.plugins.several import Several
from wancore_phantom.parameters import Parameters
from wancore_phantom.prompts import NEGATIVE

if TYPE_CHECKING:
    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.request import Request
    from wancore.sampling.guidance import Guidance

SMALL = LeadDefaults(
    width=832, height=480, frames=81, fps=Fraction(16), steps=50, shift=5.0, guidance=(7.5,),
    negative_prompt=NEGATIVE,
)  # fmt: skip
LARGE = replace(SMALL, frames=121, fps=Fraction(24))  # the 14B model was trained at another rate
LARGE_DIM = 5120
PICTURES = Several("image", InputType.IMAGE, "pictures", most=4)


@dataclass(frozen=True)
class Prepared:
    conditioning: Conditioning
    image_scale: float


class PhantomFamily(FamilyBase):
    """Wan2.1-T2V 1.3B and 14B, retrained to read reference frames behind the video."""

    id = "phantom"
    name = "Phantom"
    help = "a video of the subjects in one to four pictures"
    inputs = PICTURES.specs
    parameters = Parameters

    def recognise(self, file: FileView) -> Claim | None:
        return claim_by_name(file, self.id, reads_text_only, alternatives=("wan",))

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        require_text_only(base, weights, self.name)
        PICTURES.given(request.inputs)
        if request.guidance is not None and len(request.guidance) > 1:
            accepted = "one scale, of the text; image_scale is a parameter"
            raise InvalidInput("guidance", list(request.guidance), accepted)

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        return settled_lead(request, base, LARGE if base.transformer.dim >= LARGE_DIM else SMALL)

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared:
        from wancore_phantom.prepare import prepare

        scale = parse_parameters(Parameters, request.params).image_scale
        return Prepared(prepare(request, PICTURES.given(request.inputs), base, lead, tools), scale)

    def window(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        return prepared.conditioning

    def guidance(self, prepared: Prepared, lead: Lead, window: Window) -> Guidance:
        from wancore_phantom.guidance import phantom_guidance

        return phantom_guidance(lead.guidance_at, prepared.image_scale)
