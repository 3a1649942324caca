"""How much memory a pass through the VAE takes, from the shapes of its layers, and what fits in a budget.

Counts what is alive at once on a GPU besides the weights: the history of the causal layers, and around each
layer its input, its padded copy and its results. Sizes in elements unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from wancore.vae.architecture import Architecture, Attention, Half, Layer, Resample, Residual, Stage
from wancore.vae.tiling import Tiling

PARTS = (2, 3, 4, 6, 8)  # tiles along a side
STEPS = (4, 2, 1)  # latent frames a pass; more than four gain nothing
PAST = 2  # frames that a 3x3x3 convolution looks back at
FREE_SHARE = 0.8
MARGIN = 1.1  # workspace of the convolutions, and what the allocator cannot join


@dataclass(frozen=True)
class Frames:
    """Frames on their way through the network."""

    count: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def of(self, channels: int, extra: int = 0) -> int:
        """Elements of these frames, and of `extra` more."""
        return (self.count + extra) * self.pixels * channels

    def resampled(self, layer: Resample, up: bool) -> Frames:
        time = 2 if layer.temporal else 1
        if up:
            return Frames(self.count * time, self.height * 2, self.width * 2)
        return Frames(max(1, self.count // time), self.height // 2, self.width // 2)


class Count:
    """Walks through the layers in order of execution."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.history = 0
        self.peak = 0

    def live(self, *elements: int) -> None:
        self.peak = max(self.peak, sum(elements))

    def remember(self, channels: int, past: int = PAST) -> None:
        self.history += past * self.frames.pixels * channels

    def convolution(self, channels_in: int, channels_out: int) -> None:
        of = self.frames.of
        self.remember(channels_in)
        self.live(of(channels_in), of(channels_in, PAST), of(channels_out))

    def layer(self, layer: Layer, up: bool, outside: int) -> None:
        """`outside`: what a shortcut around the stage keeps alive."""
        of = self.frames.of
        match layer:
            case Residual(channels_in=i, channels_out=o):
                self.remember(i)
                self.remember(o)
                shortcut = of(o) if i != o else 0
                self.live(outside, of(i), shortcut, of(i, PAST), of(o))
                self.live(outside, of(i), shortcut, of(o), of(o, PAST))
                self.live(outside, of(i), shortcut, of(o, PAST), of(o))
            case Attention(channels_in=c):
                self.live(outside, of(c), of(c), of(3 * c), of(c))
            case Resample():
                self.resample(layer, up, outside)

    def resample(self, layer: Resample, up: bool, outside: int) -> None:
        before, after = self.frames, self.frames.resampled(layer, up)
        i, o = layer.channels_in, layer.channels_out
        if up:
            if layer.temporal:
                self.remember(i)
                self.live(outside, before.of(i), before.of(i, PAST), before.of(2 * i))
            self.live(outside, before.of(i), before.of(2 * i), after.of(i))
            self.live(outside, before.of(i), after.of(i), after.of(o))
        else:
            halved = Frames(before.count, after.height, after.width)
            self.live(outside, before.of(i), halved.of(o))
            if layer.temporal:
                self.history += after.pixels * o
                self.live(outside, before.of(i), halved.of(o), halved.of(o, 1), after.of(o))
        self.frames = after

    def half(self, half: Half, up: bool) -> None:
        """An encoder or a decoder."""
        self.convolution(half.channels_in, half.width)
        if up:
            self.middle(half)
        for item in half.body:
            if isinstance(item, Stage):
                outside = self.frames.of(item.channels_in)
                for layer in item.layers:
                    self.layer(layer, up, outside)
            else:
                self.layer(item, up, 0)
        if not up:
            self.middle(half)
        self.convolution(half.head, half.channels_out)

    def middle(self, half: Half) -> None:
        for layer in (Residual(half.middle, half.middle), Attention(half.middle)):
            self.layer(layer, up=True, outside=0)
        self.remember(half.middle)
        self.remember(half.middle)


@dataclass(frozen=True)
class Need:
    """Bytes of a stream: what it keeps between passes, and what a pass takes on top."""

    history: int
    work: int

    @property
    def total(self) -> int:
        return self.history + self.work


def decoder_need(architecture: Architecture, height: int, width: int, step: int, size: int) -> Need:
    """Of a decoder stream of `step` latent frames a pass, for a video of height x width pixels.

    `size`: bytes of a number. The weights are not counted, nor frames that have left.
    """
    side = architecture.spatial_stride
    count = Count(Frames(step, -(-height // side), -(-width // side)))
    count.half(architecture.decoder, up=True)
    return need(count, 3 * step * architecture.temporal_stride * height * width, size)


def encoder_need(architecture: Architecture, height: int, width: int, step: int, size: int) -> Need:
    """As `decoder_need`, of an encoder stream that makes `step` latent frames a pass."""
    patch = architecture.patch_size
    frames = step * architecture.temporal_stride
    count = Count(Frames(frames, -(-height // patch), -(-width // patch)))
    count.half(architecture.encoder, up=False)
    return need(count, 3 * frames * height * width, size)


def need(count: Count, pixels: int, size: int) -> Need:
    """`pixels` are float32 outside of the network, twice while they are converted."""
    return Need(int(MARGIN * count.history * size), int(MARGIN * count.peak * size) + 2 * 4 * pixels)


@dataclass(frozen=True)
class Fit:
    """How to go through a picture: `step` latent frames a pass, whole or in tiles.

    `in_turn`: one tile after another over all frames, because a history per tile would not fit either.
    """

    step: int
    tiling: Tiling | None = None
    in_turn: bool = False


def fit_decoder(architecture: Architecture, height: int, width: int, budget: int | None, size: int) -> Fit:
    """The fastest way to decode latent frames of height x width within `budget` bytes (None: step by step).

    Whole if it fits, else in the largest tiles that do; if nothing fits, in the smallest, in turn.
    """
    if budget is None:
        return Fit(1)
    side = architecture.spatial_stride

    def taken(rows: int, columns: int, step: int) -> Need:
        return decoder_need(architecture, rows * side, columns * side, step, size)

    for step in STEPS:
        if taken(height, width, step).total <= budget:
            return Fit(step)
    tilings = [cut(height, width, parts) for parts in PARTS]
    needs = [taken(*tiling.size, 1) for tiling in tilings]
    for tiling, tile in zip(tilings, needs, strict=True):
        if tile.history * len(tiling.tiles(height, width)) + tile.work <= budget:
            return Fit(1, tiling)
    fitting = (tiling for tiling, tile in zip(tilings, needs, strict=True) if tile.total <= budget)
    return Fit(1, next(fitting, tilings[-1]), in_turn=True)


def fit_encoder(architecture: Architecture, height: int, width: int, budget: int | None, size: int) -> Fit:
    """As `fit_decoder`, for frames of height x width pixels; tiles go in turn."""
    if budget is None:
        return Fit(1)
    for step in STEPS:
        if encoder_need(architecture, height, width, step, size).total <= budget:
            return Fit(step)
    side = architecture.spatial_stride
    tilings = [cut(height // side, width // side, parts) for parts in PARTS]

    def fits(tiling: Tiling) -> bool:
        rows, columns = tiling.size
        return encoder_need(architecture, rows * side, columns * side, 1, size).total <= budget

    return Fit(1, next(filter(fits, tilings), tilings[-1]), in_turn=True)


def cut(rows: int, columns: int, parts: int) -> Tiling:
    """Tiles, in latent pixels, about `parts` along each side; neighbours share a quarter of their size."""
    strides = [max(6, -(-n // parts)) for n in (rows, columns)]
    sizes = [stride + max(2, stride // 3) for stride in strides]
    return Tiling((sizes[0], sizes[1]), (strides[0], strides[1]))


def free_bytes(device: torch.device) -> int | None:
    """Most of what is free on a GPU, with what PyTorch holds there unused; None for a CPU."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(FREE_SHARE * (free + unused))
