"""ReCamMaster: the camera shifts self-attention frame by frame, the source video is a segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wancore.transformer.adapter import Adapter, Pieces, Values
from wancore.transformer.canvas import Along, Canvas, Segment
from wancore.transformer.context import Context
from wancore.transformer.model import WanTransformer
from wancore.transformer.rope import Frequencies, grid_positions


class CameraBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cam_encoder = nn.Linear(12, dim)
        self.projector = nn.Linear(dim, dim)


class Projector(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, a: Tensor, data: Any, seen: Any) -> Tensor:
        return self.linear(a)


class ReCamMaster(Adapter):
    """Data: the camera [T, 12] of every clip frame."""

    lifetime = "window"
    frame_levels = True

    def __init__(self, dim: int, layers: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(CameraBlock(dim) for _ in range(layers))

    def pieces(self, i: int) -> Pieces:
        return Pieces(attn_out=Projector(self.blocks[i].projector))

    def values(self, context: Context) -> Sequence[Values]:
        frame = context.layout.level_frame
        return [Values(shift=self.shift(block, context.data, frame)) for block in self.blocks]

    @staticmethod
    def shift(block: nn.Module, camera: Tensor, frame: Tensor) -> Tensor:
        encoded = block.cam_encoder(camera).float()
        return torch.where(frame[:, None] >= 0, encoded[frame.clamp(min=0)], 0.0)


def source_segment(model: WanTransformer, latents: Tensor) -> Segment:
    """The clean source [16, T, h, w], at the times that follow the canvas."""

    def rope(canvas: Canvas, frequencies: Frequencies) -> Tensor:
        start = (canvas.origin + canvas.total, 0, 0)
        return frequencies.factors(grid_positions(canvas.frames, canvas.height, canvas.width, start))

    return Segment("source", model.embed(latents), rope, along=Along.CLIP)
