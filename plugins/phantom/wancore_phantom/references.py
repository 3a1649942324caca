"""Reference pictures: each a latent frame of its own behind the video, clean throughout.

Source: Phantom-video/Phantom, `generate.py` and `phantom_wan/subject2video.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.plugins.conditioning import SegmentSource
from wancore.transformer.adapter import Adapter
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.model import WanTransformer
from wancore.transformer.rope import Frequencies, grid_positions

SLOT, ABSENT = "phantom", "absent"


def reference_segment(model: WanTransformer, latents: Tensor) -> Segment:
    """Latents [C, R, h, w] at the times that follow the last canvas frame, at the running timestep."""
    frames, height, width = latents.shape[1], latents.shape[2] // 2, latents.shape[3] // 2

    def rope(canvas: Canvas, frequencies: Frequencies) -> Tensor:
        start = (canvas.origin + canvas.total, 0, 0)
        return frequencies.factors(grid_positions(frames, height, width, start))

    return Segment("references", model.embed(latents.to(model.device)), rope)


def sources(latents: Tensor) -> tuple[SegmentSource, SegmentSource]:
    """The references, and zeros in their place for the pass without them."""

    def source(latents: Tensor, variant: str) -> SegmentSource:
        def embed(model: WanTransformer, adapter: Adapter | None) -> Segment:
            return reference_segment(model, latents)

        return SegmentSource(SLOT, embed, variant)

    return source(latents, "on"), source(torch.zeros_like(latents), ABSENT)
