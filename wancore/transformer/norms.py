"""The norms and elementwise steps of a Wan block; statistics in float32.

These are the plain versions; `wancore.kernels` chooses between them and fused ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wancore.transformer.levels import Levels


class RMSNorm(nn.Module):
    """x * rsqrt(mean(x^2) + eps) * weight over the whole model width (arXiv:1910.07467)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + self.eps)
        return (x.float() * scale).to(x.dtype) * self.weight.to(x.dtype)


class LayerNorm(nn.LayerNorm):
    """LayerNorm computed in float32 whatever the input's type."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.float() if self.weight is not None else None
        bias = self.bias.float() if self.bias is not None else None
        return F.layer_norm(x.float(), self.normalized_shape, weight, bias, self.eps).to(x.dtype)


def modulated_norm(x: Tensor, shift: Tensor, scale: Tensor, levels: Levels, eps: float) -> Tensor:
    """LN(x) * (1 + scale) + shift; x [S, D], shift and scale [K, D] float32."""

    def row(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return (F.layer_norm(x.float(), x.shape[-1:], eps=eps) * (1 + scale) + shift).to(x.dtype)

    return levels.apply(row, x, (shift, scale))


def gated(x: Tensor, update: Tensor, gate: Tensor, levels: Levels) -> Tensor:
    """x + update * gate; x, update [S, D], gate [K, D] float32."""

    def row(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
        return (x.float() + update.float() * gate).to(x.dtype)

    return levels.apply(row, x, (gate,), update)
