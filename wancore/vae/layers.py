"""The building blocks that Wan 2.1 and Wan 2.2 share. Tensors are [B, C, T, H, W].

Every layer of a sequence has the same call, `layer(x, history)`; attributes carry the names of the
original checkpoints (Wan-Video/Wan2.1 `wan/modules/vae.py`). On a GPU everything lies channels last.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wancore.kernels import vae as ops
from wancore.kernels.attention import grouped
from wancore.vae.convolution import convolve, pointwise
from wancore.vae.history import History

Kernel = tuple[int, int, int]


class RMSNorm(nn.Module):
    """x / max(|x|, 1e-12) * sqrt(C) * gamma over the channels; statistics in float32.

    `gamma` [C, 1, ...]: one axis for the channels and `axes` of size 1.
    """

    def __init__(self, channels: int, axes: int) -> None:
        super().__init__()
        self.channels = channels
        self.gamma = nn.Parameter(torch.empty(channels, *[1] * axes))

    def forward(self, x: Tensor) -> Tensor:  # x [B, C, ...]
        return ops.rms_norm(x, self.gamma)


class CausalConv3d(nn.Conv3d):
    """Convolution over time and space that sees only this and earlier frames.

    Zero padding in space; in time the frames before `x` come from the history.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: Kernel, time_stride: int = 1) -> None:
        padding = (0, kernel[1] // 2, kernel[2] // 2)
        super().__init__(channels_in, channels_out, kernel, stride=(time_stride, 1, 1), padding=padding)
        self.past = kernel[0] - time_stride

    def forward(self, x: Tensor, history: History) -> Tensor:  # type: ignore[override]
        return convolve(self, history.extend(self, x, self.past))


def seen(norm: nn.Module, conv: nn.Module, x: Tensor, history: History) -> Tensor:
    """silu(norm(x)) behind the frames that `conv` saw before."""
    assert isinstance(norm, RMSNorm) and isinstance(conv, CausalConv3d)
    if torch.is_grad_enabled():  # training may put norms of its own in place
        return history.extend(conv, F.silu(norm(x)), conv.past)
    return history.extend(conv, x, conv.past, norm.gamma)


def activated(
    norm: nn.Module, conv: nn.Module, x: Tensor, history: History, add: Tensor | None = None
) -> Tensor:
    """conv(silu(norm(x))) + add."""
    assert isinstance(conv, CausalConv3d)
    extended = seen(norm, conv, x, history)
    del x  # often the last to hold it: its memory is free for the result
    return convolve(conv, extended, add)


class ResidualBlock(nn.Module):
    """x -> shortcut(x) + conv(silu(norm(conv(silu(norm(x))))))."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            RMSNorm(channels_in, axes=3),
            nn.SiLU(),
            CausalConv3d(channels_in, channels_out, (3, 3, 3)),
            RMSNorm(channels_out, axes=3),
            nn.SiLU(),
            nn.Identity(),  # dropout in training
            CausalConv3d(channels_out, channels_out, (3, 3, 3)),
        )
        self.shortcut: nn.Module = (
            nn.Identity() if channels_in == channels_out else nn.Conv3d(channels_in, channels_out, 1)
        )

    def forward(self, x: Tensor, history: History) -> Tensor:
        norm1, _, conv1, norm2, _, _, conv2 = self.residual
        add = pointwise(self.shortcut, x)
        return activated(norm2, conv2, activated(norm1, conv1, x, history), history, add)


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
        y = rearrange(y, "n c h w -> n (h w) c")
        qkv = F.linear(y, self.to_qkv.weight.flatten(1), self.to_qkv.bias)
        q, k, v = rearrange(qkv, "n pixels (three c) -> three n pixels 1 c", three=3)
        y = grouped(q, k, v, role="vae")[:, :, 0]
        y = F.linear(y, self.proj.weight.flatten(1), self.proj.bias)
        return x + rearrange(y, "(b t) (h w) c -> b c t h w", t=frames, h=height)


def head(channels_in: int, channels_out: int) -> nn.Sequential:
    """The last layers of an encoder or decoder."""
    return nn.Sequential(
        RMSNorm(channels_in, axes=3),
        nn.SiLU(),
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
