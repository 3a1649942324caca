"""TAEHV: a tiny autoencoder for previews. Tensors are frames [T, C, H, W] of one video.

2D convolutions, with time only in the memory blocks (which see the frame before) and in pooling
and growing the frame rate. Layers stand at the places of the published checkpoints. Source:
madebyollin/taehv `taehv.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from wancore.vae.history import History


@dataclass(frozen=True)
class EncoderSpec:
    """`pixels` in, `latent` out, `width` between; `pools` frames become one at each of three levels."""

    pixels: int
    width: int
    pools: tuple[int, int, int]
    latent: int


@dataclass(frozen=True)
class DecoderSpec:
    """`latent` in, `pixels` out, `widths` of the levels; each level gives `grows` frames for one."""

    latent: int
    widths: tuple[int, int, int, int]
    grows: tuple[int, int, int]
    pixels: int


class Squash(nn.Module):
    """Softly limits latents to (-3, 3)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class Pool(nn.Module):
    """Mixes every `frames` consecutive frames into one."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.conv = nn.Conv2d(frames * channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(rearrange(x, "(t s) c h w -> t (s c) h w", s=self.frames))


class Grow(nn.Module):
    """Makes `frames` consecutive frames of one."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.conv = nn.Conv2d(channels, frames * channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return rearrange(self.conv(x), "t (s c) h w -> (t s) c h w", s=self.frames)


class Memory(nn.Module):
    """A residual block that also sees its own input of the frame before (zeros for the first)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor, history: History) -> Tensor:
        return torch.relu(self.conv(with_previous(self, x, history)) + x)


class WideMemory(nn.Module):
    """The memory block of the larger decoder: 7x7 per channel, then a wide pair of 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        both = 2 * channels
        self.conv = nn.Sequential(
            nn.Conv2d(both, both, 7, padding=3, groups=both, bias=False),
            nn.Conv2d(both, 2 * both, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * both, channels, 1, bias=False),
        )

    def forward(self, x: Tensor, history: History) -> Tensor:
        return self.conv(with_previous(self, x, history)) + x


def with_previous(block: nn.Module, x: Tensor, history: History) -> Tensor:
    """[T, C, H, W] -> [T, 2C, H, W]: every frame and the one before it."""
    return torch.cat([x, history.previous(block, x)], dim=1)


def conv(channels_in: int, channels_out: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=bias)


def encoder(spec: EncoderSpec) -> nn.ModuleList:
    """Pixel frames to latent frames."""
    n = spec.width
    layers: list[nn.Module] = [conv(spec.pixels, n), nn.ReLU(inplace=True)]
    for frames in spec.pools:
        layers += [Pool(n, frames), conv(n, n, stride=2, bias=False), Memory(n), Memory(n), Memory(n)]
    return nn.ModuleList([*layers, conv(n, spec.latent)])


def decoder(spec: DecoderSpec) -> nn.ModuleList:
    """Latent frames to pixel frames."""
    layers: list[nn.Module] = [Squash(), conv(spec.latent, spec.widths[0]), nn.ReLU(inplace=True)]
    for n, to, frames in zip(spec.widths[:3], spec.widths[1:], spec.grows, strict=True):
        layers += [Memory(n), Memory(n), Memory(n), nn.Upsample(scale_factor=2)]
        layers += [Grow(n, frames), conv(n, to, bias=False)]
    return nn.ModuleList([*layers, nn.ReLU(inplace=True), conv(spec.widths[3], spec.pixels)])


def wide_decoder(spec: DecoderSpec) -> nn.ModuleList:
    """The larger decoder of the files named `*_super`."""
    layers: list[nn.Module] = [nn.Conv2d(spec.latent, spec.widths[0], 1, bias=False)]
    for n, to, frames in zip(spec.widths[:3], spec.widths[1:], spec.grows, strict=True):
        layers += [WideMemory(n), WideMemory(n), WideMemory(n)]
        layers += [conv(n, 4 * to), nn.ReLU(inplace=True), nn.PixelShuffle(2), Grow(to, frames)]
    return nn.ModuleList([*layers, conv(spec.widths[3], spec.pixels)])


def run(layers: nn.ModuleList, x: Tensor, history: History) -> Tensor:
    for layer in layers:
        x = layer(x, history) if isinstance(layer, Memory | WideMemory) else layer(x)
    return x
