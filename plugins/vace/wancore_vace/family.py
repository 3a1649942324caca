"""VACE as a family: it leads a request, or is attached to another family's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from wancore.plugins.conditioning import Conditioning, Payload
from wancore.plugins.family import Base, Carry, FamilyBase, Lead, Role, Window
from wancore.plugins.inputs import parse_parameters
from wancore.plugins.lead import LeadDefaults, check_frames, check_multiples, settled_lead, suited
from wancore.plugins.texts import guided_texts
from wancore_vace.keys import KEYS, RENAMES
from wancore_vace.parameters import Parameters
from wancore_vace.prompts import NEGATIVE
from wancore_vace.roles import INPUTS, check_inputs, is_reference, sources

if TYPE_CHECKING:
    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.plugins.family import Place
    from wancore.request import Request
    from wancore.transformer.adapter import Adapter
    from wancore_vace.adapter import Guides
    from wancore_vace.prepare import Prepared
    from wancore_vace.source_video import VideoSize

DEFAULTS = LeadDefaults(
    width=832, height=480, frames=81, fps=Fraction(16), steps=50, shift=16.0, guidance=(5.0,),
    negative_prompt=NEGATIVE,
)  # fmt: skip
TWO_EXPERTS = replace(DEFAULTS, shift=12.0, boundary=0.875)


class VaceFamily(FamilyBase):
    """VACE for Wan 2.1 T2V 1.3B and 14B, and Wan2.2-VACE-Fun-A14B."""

    id = "vace"
    name = "VACE"
    help = "references, control videos, inpainting, outpainting, extension, layouts, and mixes of them"
    roles: frozenset[Role] = frozenset({"lead", "attachment"})
    inputs = INPUTS
    parameters = Parameters
    claims = frozenset({"canvas head"})
    keys = KEYS
    renames = MappingProxyType(RENAMES)

    def recognise(self, file: FileView) -> Claim | None:
        from wancore_vace.recognise import recognise

        return recognise(file)

    def claimed(self, request: Request) -> frozenset[str]:
        """Frames in front only with references."""
        return self.claims if any(is_reference(role) for role in request.inputs) else frozenset()

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        from wancore_vace.checkpoint import check_base, check_layers

        check_base(base, weights)
        parameters = parsed(request)
        check_layers(parameters, weights)

    def adapter(self, base: Base, weights: FileView, place: Place) -> Adapter:
        from wancore_vace.checkpoint import load

        return load(base, weights, place)

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        size = settled_source_size(request, base, tools)
        defaults = DEFAULTS if len(base.experts) == 1 else TWO_EXPERTS
        return settled_lead(request, base, defaults, size=(size.width, size.height), frames=size.frames)

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared:
        from wancore_vace.prepare import prepare

        prepared = prepare(request, parsed(request), base, lead, tools)
        if request.attaches(self.id):
            return prepared
        canvas = base.canvas(lead.width, lead.height, lead.frames, head=prepared.head)
        return replace(prepared, canvas=canvas, texts=guided_texts(request, lead, tools))

    def window(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        data = {
            self.id: {"on": Payload(prepared.guides(window, carry, tools.vae, tools.device), sliced=sliced)}
        }
        if prepared.canvas is None:
            return Conditioning(data=data, head=prepared.head)
        return Conditioning(prepared.canvas, texts=prepared.texts or {}, data=data)


def sliced(guides: Guides, frames: Sequence[int]) -> Guides:
    """For an overlapping window: the latent frames of the clip that it covers, behind all references."""
    at = [*range(guides.head), *(guides.head + i for i in frames)]
    contexts = tuple(replace(guide, latents=guide.latents[:, at]) for guide in guides.contexts)
    return replace(guides, contexts=contexts)


def parsed(request: Request) -> Parameters:
    """The parameters; raises `InvalidInput` if they and the inputs do not fit each other."""
    parameters = parse_parameters(Parameters, request.params)
    check_inputs(parameters, request.inputs)
    return parameters


def settled_source_size(request: Request, base: Base, tools: Tools) -> VideoSize:
    """As asked for; what is left open follows the source."""
    from wancore_vace.source_video import VideoSize, fitted_size
    from wancore_vace.sources import Wanted, read_source

    request = suited(request, base.defaults)
    width, height = DEFAULTS.width, DEFAULTS.height
    if request.size:
        width, height = request.size.width, request.size.height
    parameters = parsed(request)
    size = VideoSize(request.frames or DEFAULTS.frames, height, width)
    follows = parameters.fit == "source" and has_shape(request.inputs)
    if follows or request.frames is None:
        named = sources(parameters)
        second = next((n for n in named if n.prefix == "second."), None)
        source = read_source(named[0], second, tools, request.inputs, Wanted(size.frames, height, width))
        if source is not None:
            count, rows, columns = source.pair.masks.shape
            if follows:
                fitted = fitted_size(request.frames or count, rows, columns, width * height)
            else:
                fitted = fitted_size(count, height, width, width * height)
            size = VideoSize(
                request.frames or fitted.frames,
                fitted.height if follows else height,
                fitted.width if follows else width,
            )
    check_size(size, base)
    return size


def has_shape(inputs: Collection[str]) -> bool:
    """Whether an input of the first context has a shape that the video can follow."""
    return any(role in inputs for role in ("video", "image", "mask"))


def check_size(size: VideoSize, base: Base) -> None:
    check_multiples(base, size.width, size.height)
    check_frames(base, size.frames, DEFAULTS.frames)
