"""Time, text and image embeddings of a Wan transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wancore.transformer.norms import LayerNorm


def sinusoid(t: Tensor, width: int) -> Tensor:
    """[K] timesteps 0..1000 -> [K, width] float32, cosines first; computed in float64."""
    half = width // 2
    speeds = 10000.0 ** -(torch.arange(half, dtype=torch.float64, device=t.device) / half)
    angles = torch.outer(t.to(torch.float64), speeds)
    return torch.cat((angles.cos(), angles.sin()), dim=1).float()


class ImageEmbedding(nn.Module):
    """CLIP tokens [L, image_dim] -> [L, dim]; `positions` is the length of the position table, if any."""

    def __init__(self, image_dim: int, dim: int, positions: int | None) -> None:
        super().__init__()
        self.emb_pos = nn.Parameter(torch.zeros(1, positions, image_dim)) if positions else None
        self.proj = nn.Sequential(
            LayerNorm(image_dim, 1e-5),
            nn.Linear(image_dim, image_dim),
            nn.GELU(),
            nn.Linear(image_dim, dim),
            LayerNorm(dim, 1e-5),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        if self.emb_pos is not None:
            tokens = tokens + self.emb_pos[0]
        embedded: Tensor = self.proj(tokens)
        return embedded


class Head(nn.Module):
    """LN(x) * (1 + scale) + shift, then a linear to the patch's values; modulated by `e`, not `e0`."""

    def __init__(self, dim: int, out: int, eps: float) -> None:
        super().__init__()
        self.modulation = nn.Parameter(torch.zeros(1, 2, dim))
        self.head = nn.Linear(dim, out)
        self.eps = eps
