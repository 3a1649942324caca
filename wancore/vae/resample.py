"""Changing resolution in space and time. Tensors are [B, C, T, H, W].

The first frame of a video stands alone: while the first chunk passes, nothing changes in time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from einops import rearrange
from torch import Tensor, nn

from wancore.kernels import vae as ops
from wancore.vae.architecture import Resample
from wancore.vae.convolution import halve
from wancore.vae.history import History
from wancore.vae.layers import CausalConv3d


class Downsample(nn.Module):
    """Halves height and width; with `time_conv`, then halves the frames of every chunk but the first."""

    def __init__(self, spec: Resample) -> None:
        super().__init__()
        channels = spec.channels_out
        self.resample = nn.Sequential(
            nn.Identity(),  # padding, see `halve`
            nn.Conv2d(spec.channels_in, channels, 3, stride=2),
        )
        self.time_conv = CausalConv3d(channels, channels, (3, 1, 1), time_stride=2) if spec.temporal else None

    def forward(self, x: Tensor, history: History) -> Tensor:
        conv = self.resample[1]
        assert isinstance(conv, nn.Conv2d)
        x = in_space(partial(halve, conv), x)
        if self.time_conv is None:
            return x
        if history.first:
            history.extend(self.time_conv, x, self.time_conv.past)  # the second chunk looks back at it
            return x
        return self.time_conv(x, history)


class Upsample(nn.Module):
    """With `time_conv`, doubles the frames of every chunk but the first; then doubles height and width."""

    def __init__(self, spec: Resample) -> None:
        super().__init__()
        channels = spec.channels_in
        self.resample = nn.Sequential(
            nn.Identity(),  # doubling of pixels, see `up_conv`
            nn.Conv2d(channels, spec.channels_out, 3, padding=1),
        )
        self.time_conv = CausalConv3d(channels, 2 * channels, (3, 1, 1)) if spec.temporal else None

    def forward(self, x: Tensor, history: History) -> Tensor:
        parts = 1
        # The second chunk starts from zeros: the first frame is not in the history of `time_conv`.
        if self.time_conv is not None and not history.first:
            x, parts = self.time_conv(x, history), 2
        conv = self.resample[1]
        assert isinstance(conv, nn.Conv2d)
        return ops.up_conv(x, conv.weight, conv.bias, parts)


def in_space(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Applies a 2D layer to every frame."""
    y = layer(rearrange(x, "b c t h w -> (b t) c h w"))
    return rearrange(y, "(b t) c h w -> b c t h w", b=x.shape[0])
