"""ReCamMaster as a family."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from wancore.errors import InvalidInput
from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Base, Carry, FamilyBase, Lead, Window
from wancore.plugins.inputs import InputSpec, InputType, parse_parameters
from wancore.plugins.lead import LeadDefaults, settled_lead
from wancore_recammaster.parameters import Parameters
from wancore_recammaster.prompts import NEGATIVE

if TYPE_CHECKING:
    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.plugins.family import Place
    from wancore.request import Request
    from wancore.transformer.adapter import Adapter
    from wancore_recammaster.prepare import Prepared

CLIP = 81
DEFAULTS = LeadDefaults(
    width=832, height=480, frames=CLIP, fps=Fraction(30), steps=50, shift=5.0, guidance=(5.0,),
    negative_prompt=NEGATIVE, solver="euler",
)  # fmt: skip


class ReCamMasterFamily(FamilyBase):
    """ReCamMaster for Wan2.1-T2V-1.3B."""

    id = "recammaster"
    name = "ReCamMaster"
    help = "films a source video again along a new camera path"
    inputs = (
        InputSpec("source_video", InputType.VIDEO, "the video to film again", required=True),
        InputSpec(
            "camera",
            InputType.CAMERA_PATH,
            "JSON: a camera-to-world matrix per frame, in OpenCV axes and metres, or the released format",
        ),
    )
    parameters = Parameters
    claims = frozenset({"attention output"})
    keys = ("blocks.N.{cam_encoder,projector}.{weight,bias}",)

    def recognise(self, file: FileView) -> Claim | None:
        from wancore_recammaster.recognise import recognise

        return recognise(file)

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        from wancore_recammaster.checkpoint import check_base
        from wancore_recammaster.paths import cameras

        check_base(base, weights)
        parameters = parse_parameters(Parameters, request.params)
        cameras(parameters, request.inputs.get("camera"), clip_frames(request, parameters))

    def adapter(self, base: Base, weights: FileView, place: Place) -> Adapter:
        from wancore_recammaster.checkpoint import load

        return load(base, weights, place)

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        parameters = parse_parameters(Parameters, request.params)
        frames = clip_frames(request, parameters) * parameters.clips
        return settled_lead(request, base, DEFAULTS, frames=frames)

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared:
        from wancore_recammaster.prepare import prepare

        return prepare(request, parse_parameters(Parameters, request.params), base, lead, tools)

    def windows(self, prepared: Prepared, lead: Lead) -> Iterable[Window]:
        clips = len(prepared.cameras)
        each = lead.frames // clips
        for i in range(clips):
            yield Window(i, i * each, each, last=i == clips - 1)

    def window(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        return prepared.conditioning(window, tools)


def clip_frames(request: Request, parameters: Parameters) -> int:
    """Pixel frames of each clip; the released paths have 81."""
    clips = parameters.clips
    frames = request.frames if request.frames is not None else CLIP * clips
    each, rest = divmod(frames, clips)
    if rest or each % 4 != 1 or each > CLIP:
        of = f" for each of {clips} clips" if clips > 1 else ""
        raise InvalidInput("frames", frames, f"4n + 1, at most {CLIP}{of}; params.clips makes a longer video")
    return each
