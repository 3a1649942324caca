"""The norms of a Wan transformer; statistics in float32. `wancore.kernels` has them fused and plain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wancore.kernels.junction import Affine, Modulated, junction
from wancore.kernels.rotary import rms_norm
from wancore.transformer.levels import Levels


class RMSNorm(nn.Module):
    """x * rsqrt(mean(x^2) + eps) * weight over the whole model width (arXiv:1910.07467)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


class LayerNorm(nn.LayerNorm):
    """LayerNorm computed in float32 whatever the input's type."""

    @property
    def affine(self) -> Affine:
        return Affine(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        _, n = junction(x.reshape(-1, x.shape[-1]), norm=self.affine, eps=self.eps)
        assert isinstance(n, Tensor)
        return n.view(x.shape)


def modulated_norm(x: Tensor, shift: Tensor, scale: Tensor, levels: Levels, eps: float) -> Tensor:
    """LN(x) * (1 + scale) + shift; x [S, D], shift and scale [K, D] float32."""
    _, n = junction(x, norm=Modulated(shift, scale), levels=levels, eps=eps)
    assert isinstance(n, Tensor)
    return n
