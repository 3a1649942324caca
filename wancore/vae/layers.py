"""The building blocks that Wan 2.1 and Wan 2.2 share. Tensors are [B, C, T, H, W].

Every layer of a sequence has the same call, `layer(x, history)`; attributes carry the names of the
original checkpoints (Wan-Video/Wan2.1 `wan/modules/vae.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wancore.vae.history import History

Kernel = tuple[int, int, int]
MIN_NORM = 1e-12


class RMSNorm(nn.Module):
    """x / max(|x|, 1e-12) * sqrt(C) * gamma over the channels; statistics in float32.

    `gamma` [C, 1, ...]: one axis for the channels and `axes` of size 1.
    """

    def __init__(self, channels: int, axes: int) -> None:
        super().__init__()
        self.channels = channels
        self.gamma = nn.Parameter(torch.empty(channels, *[1] * axes))

    def forward(self, x: Tensor) -> Tensor:  # x [B, C, ...]
        # Channels last is also the layout in which the convolutions run fastest on a GPU.
        eps = MIN_NORM**2 / self.channels
        y = F.rms_norm(x.movedim(1, -1), (self.channels,), self.gamma.flatten(), eps)
        return y.movedim(-1, 1)


class CausalConv3d(nn.Conv3d):
    """Convolution over time and space that sees only this and earlier frames.

    Zero padding in space; in time the frames before `x` come from the history.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: Kernel, time_stride: int = 1) -> None:
        padding = (0, kernel[1] // 2, kernel[2] // 2)
        super().__init__(channels_in, channels_out, kernel, stride=(time_stride, 1, 1), padding=padding)
        self.past = kernel[0] - time_stride

    def forward(self, x: Tensor, history: History) -> Tensor:  # type: ignore[override]
        return super().forward(history.extend(self, x, self.past))


class ResidualBlock(nn.Module):
    """x -> shortcut(x) + conv(silu(norm(conv(silu(norm(x))))))."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            RMSNorm(channels_in, axes=3),
            nn.SiLU(inplace=True),
            CausalConv3d(channels_in, channels_out, (3, 3, 3)),
            RMSNorm(channels_out, axes=3),
            nn.SiLU(inplace=True),
            nn.Identity(),  # dropout in training
            CausalConv3d(channels_out, channels_out, (3, 3, 3)),
        )
        self.shortcut: nn.Module = (
            nn.Identity() if channels_in == channels_out else nn.Conv3d(channels_in, channels_out, 1)
        )

    def forward(self, x: Tensor, history: History) -> Tensor:
        y: Tensor = x
        for layer in self.residual:
            y = layer(y, history) if isinstance(layer, CausalConv3d) else layer(y)
        return y + self.shortcut(x)


class AttentionBlock(nn.Module):
    """Single-head self-attention over the H*W pixels of each frame, with a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = RMSNorm(channels, axes=2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, history: History) -> Tensor:
        frames, height = x.shape[2], x.shape[3]
        y = self.norm(rearrange(x, "b c t h w -> (b t) c h w"))
        q, k, v = rearrange(self.to_qkv(y), "n (three c) h w -> three n 1 (h w) c", three=3)
        y = F.scaled_dot_product_attention(q, k, v)
        y = self.proj(rearrange(y, "n 1 (h w) c -> n c h w", h=height))
        return x + rearrange(y, "(b t) c h w -> b c t h w", t=frames)


def head(channels_in: int, channels_out: int) -> nn.Sequential:
    """The last layers of an encoder or decoder."""
    return nn.Sequential(
        RMSNorm(channels_in, axes=3),
        nn.SiLU(inplace=True),
        CausalConv3d(channels_in, channels_out, (3, 3, 3)),
    )


def middle(channels: int) -> nn.ModuleList:
    """The layers at the lowest resolution."""
    return nn.ModuleList(
        [ResidualBlock(channels, channels), AttentionBlock(channels), ResidualBlock(channels, channels)]
    )


def run(layers: Iterable[nn.Module], x: Tensor, history: History) -> Tensor:
    for layer in layers:
        x = layer(x, history)
    return x
