"""Painting what lies under each track's first point along the track.

Source: bytedance/ATI `wan/modules/motion_patch.py`, `patch_motion`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MASK = 4  # channels, before those of the image latent


def painted(y: Tensor, tracks: Tensor, temperature: float, topk: int) -> Tensor:
    """Channels y [4 + C, T, h, w] with the first frame's features along tracks [1 + 4 (T - 1), N, 4]."""
    frames, height, width = y.shape[1:]
    tracks = tracks.to(y)
    shorter = min(height, width)
    edges = torch.tensor([width / shorter, height / shorter]).to(y)
    place, visible = tracks[..., 1:3], tracks[..., 3:].clamp(0, 1)
    first = (place[0] / edges).clamp(-1, 1)
    features = F.grid_sample(y[None, MASK:, 0], first[None, None], align_corners=False)[0, :, 0]  # [C, N]

    count = visible[1:].unflatten(0, (frames - 1, 4)).sum(1)  # [T - 1, N, 1]
    mean = (place * visible)[1:].unflatten(0, (frames - 1, 4)).sum(1) / (count + 1e-5)
    x = torch.linspace(-width / shorter, width / shorter, width).to(y)
    rows = torch.linspace(-height / shorter, height / shorter, height).to(y)
    grid = torch.stack(torch.meshgrid(x, rows, indexing="xy"), dim=-1)  # [h, w, 2]
    distance = (mean[:, None, None] - grid[None, :, :, None]).square().sum(-1)  # [T - 1, h, w, N]
    weight = torch.exp(-temperature * distance) * count.clamp(0, 1)[:, None, None, :, 0]
    strongest, which = weight.topk(min(topk, weight.shape[-1]), dim=-1)

    total = strongest.sum(-1)  # [T - 1, h, w]
    carried = torch.einsum("cthwk,thwk->cthw", features[:, which], strongest)
    out = y.clone()
    out[MASK:, 1:] = carried + y[MASK:, 1:] * (1 - total.clamp(0, 1))
    out[:MASK, 1:] = total
    out[:MASK, 0] = 1
    return out
