"""ReCamMaster's network: the camera shifts self-attention frame by frame; the source is a segment.

Source: KwaiVGI/ReCamMaster `diffsynth/models/wan_video_dit.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from wancore.transformer.adapter import Adapter, Pieces, Values
from wancore.transformer.canvas import Along, Canvas, Segment
from wancore.transformer.context import Context
from wancore.transformer.model import WanTransformer
from wancore.transformer.rope import Frequencies, grid_positions


class CameraBlock(nn.Module):
    """What one block has beside the base's."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cam_encoder = nn.Linear(12, dim)
        self.projector = nn.Linear(dim, dim)


class Project(nn.Module):
    """Stands between the output projection of self-attention and its gate, for all rows."""

    def __init__(self, block: CameraBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, a: Tensor, data: Any, seen: Any) -> Tensor:
        out: Tensor = self.block.projector(a)
        return out


class ReCamMaster(Adapter):
    """Reads the camera [T, 12] of every clip frame."""

    dense = re.compile(r"blocks\.\d+\.projector")
    lifetime = "window"
    frame_levels = True

    def __init__(self, dim: int, layers: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(CameraBlock(dim) for _ in range(layers))

    @property
    def layers(self) -> list[CameraBlock]:
        return cast(list[CameraBlock], list(self.blocks))

    def pieces(self, i: int) -> Pieces:
        return Pieces(attn_out=Project(self.layers[i]))

    def values(self, context: Context) -> Sequence[Values]:
        camera = context.data.to(context.x)
        frame = context.layout.level_frame
        return [Values(shift=shift(block, camera, frame)) for block in self.layers]


def shift(block: CameraBlock, camera: Tensor, frame: Tensor) -> Tensor:
    """[K, D] float32: the camera of each level's clip frame; nothing for frames outside the clip."""
    encoded = block.cam_encoder(camera).float()
    return torch.where(frame[:, None] >= 0, encoded[frame.clamp(min=0)], 0.0)


def source_segment(model: WanTransformer, latents: Tensor) -> Segment:
    """The clean source [16, T, h, w], at the times that follow the canvas.

    It is at the running timestep, although it has no noise, and each frame has the camera of the clip's.
    """

    def rope(canvas: Canvas, frequencies: Frequencies) -> Tensor:
        start = (canvas.origin + canvas.total, 0, 0)
        return frequencies.factors(grid_positions(canvas.frames, canvas.height, canvas.width, start))

    return Segment("source", model.embed(latents.to(model.device)), rope, along=Along.CLIP)
