"""From the inputs to what the transformer reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from wancore.engine.tools import Tools
from wancore.errors import InvalidInput
from wancore.plugins.conditioning import Conditioning, Payload, SegmentSource
from wancore.plugins.family import Base, Lead, Window
from wancore.plugins.texts import guided_texts
from wancore.request import Request
from wancore.transformer.adapter import Adapter
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.model import WanTransformer
from wancore_recammaster.adapter import source_segment
from wancore_recammaster.parameters import Parameters
from wancore_recammaster.paths import cameras
from wancore_recammaster.source_video import covered

SLOT = "recammaster"


@dataclass(frozen=True)
class Prepared:
    """`source` [3, F, H, W] in [-1, 1] over all clips; `cameras`: [T, 12] of each clip."""

    source: Tensor
    cameras: tuple[Tensor, ...]
    canvas: Canvas
    texts: Mapping[str, Tensor]

    def conditioning(self, window: Window, tools: Tools) -> Conditioning:
        """The camera, and the source's latents as a segment."""
        pixels = self.source[:, window.start : window.start + window.frames]
        latents, camera = tools.vae.encode(pixels.to(tools.device)), self.cameras[window.index]
        return Conditioning(
            self.canvas,
            texts=self.texts,
            segments=(source_of(latents),),
            data={SLOT: {"on": Payload(camera, sliced=lambda data, frames: data[list(frames)])}},
        )


def source_of(latents: Tensor) -> SegmentSource:
    """The source [16, T, h, w], cut with the clip."""

    def embed(model: WanTransformer, adapter: Adapter | None) -> Segment:
        return source_segment(model, latents)

    def sliced(frames: Sequence[int]) -> SegmentSource:
        return source_of(latents[:, list(frames)])

    return SegmentSource(SLOT, embed, sliced=sliced)


def prepare(request: Request, parameters: Parameters, base: Base, lead: Lead, tools: Tools) -> Prepared:
    """Reads source and camera. Raises `InvalidInput`."""
    paths = cameras(parameters, request.inputs.get("camera"), lead.frames // parameters.clips)
    frames = tools.video("source_video").frames
    if len(frames) < lead.frames:
        accepted = f"a video of at least {lead.frames} frames; this one has {len(frames)}"
        raise InvalidInput("inputs.source_video", str(request.inputs["source_video"]), accepted)
    texts = guided_texts(request, lead, tools)
    canvas = base.canvas(lead.width, lead.height, lead.frames // parameters.clips)
    source = covered(frames[: lead.frames], lead.height, lead.width)
    return Prepared(source, paths, canvas, texts)
