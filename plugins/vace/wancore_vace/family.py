"""VACE as a family: it leads a request, or is attached to another family's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from wancore.errors import InvalidInput
from wancore.plugins.family import Base, Carry, Conditioning, FamilyBase, Lead, Payload, Role, Window
from wancore.plugins.inputs import parse_parameters
from wancore_vace.keys import KEYS, RENAMES
from wancore_vace.parameters import Parameters
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

STEPS, GUIDANCE, FPS, FRAMES = 50, 5.0, Fraction(16), 81
WIDTH, HEIGHT = 832, 480
SHIFT, TWO_EXPERTS_SHIFT, BOUNDARY = 16.0, 12.0, 0.875


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
        from wancore_vace.prompts import NEGATIVE

        size, fun = settled_size(request, base, tools), len(base.experts) == 2
        return Lead(
            width=size.width,
            height=size.height,
            frames=size.frames,
            fps=Fraction(request.fps).limit_denominator(1001) if request.fps else FPS,
            steps=request.steps or STEPS,
            solver=request.solver or "unipc",
            shift=request.shift or (TWO_EXPERTS_SHIFT if fun else SHIFT),
            guidance_scales=settled_guidance(request, base),
            negative_prompt=NEGATIVE if request.negative_prompt is None else request.negative_prompt,
            boundary=(base.boundary or BOUNDARY) if fun else None,
        )

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared:
        from wancore.transformer.canvas import Canvas
        from wancore_vace.prepare import prepare

        prepared = prepare(request, parsed(request), base, lead, tools)
        if request.attaches(self.id):
            return prepared
        positive, negative = tools.text([request.prompt, lead.negative_prompt])
        patch, stride = base.transformer.patch_size, tools.vae.spatial_stride
        canvas = Canvas(
            frames=1 + (lead.frames - 1) // tools.vae.temporal_stride,
            height=lead.height // stride // patch[1],
            width=lead.width // stride // patch[2],
            head=prepared.head,
        )
        return replace(prepared, canvas=canvas, texts={"positive": positive, "negative": negative})

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


def settled_size(request: Request, base: Base, tools: Tools) -> VideoSize:
    """As asked for; what is left open follows the source."""
    from wancore_vace.source_video import VideoSize, fitted_size
    from wancore_vace.sources import Wanted, read_source

    width, height = (request.size.width, request.size.height) if request.size else (WIDTH, HEIGHT)
    parameters = parsed(request)
    size = VideoSize(request.frames or FRAMES, height, width)
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
    multiple = base.spatial_stride * base.transformer.patch_size[1]
    if size.width % multiple or size.height % multiple:
        raise InvalidInput("size", f"{size.width}x{size.height}", f"multiples of {multiple} pixels")
    if size.frames % 4 != 1:
        raise InvalidInput("frames", size.frames, "4n + 1, for example 49, 81 or 121")


def settled_guidance(request: Request, base: Base) -> tuple[float, ...]:
    """One scale per expert, in the order of use."""
    scales = request.guidance or (GUIDANCE,)
    if len(scales) > len(base.experts):
        raise InvalidInput("guidance", scales, "one scale: this model has one transformer")
    return scales if len(scales) == len(base.experts) else scales * len(base.experts)
