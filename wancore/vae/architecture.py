"""The shape of a VAE network, read off the keys and shapes of a checkpoint.

Wan 2.1 lists its layers flat (`decoder.upsamples.4`), Wan 2.2 groups them in stages
(`decoder.upsamples.1.upsamples.0`), each with a parameter-free shortcut. Widths, the number of
layers and which resamplings act in time all follow from the shapes, so pruned models need no
configuration of their own. Key layout: Wan-Video/Wan2.1 `wan/modules/vae.py`, Wan-Video/Wan2.2
`wan/modules/vae2_2.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wancore.checkpoints import FileView
from wancore.errors import CheckpointError


@dataclass(frozen=True)
class Residual:
    """Two normalised causal 3x3x3 convolutions and a shortcut."""

    channels_in: int
    channels_out: int


@dataclass(frozen=True)
class Attention:
    """Single-head attention over the pixels of a frame."""

    channels_in: int

    @property
    def channels_out(self) -> int:
        return self.channels_in


@dataclass(frozen=True)
class Resample:
    """Halves (encoder) or doubles (decoder) height and width, and the frame rate if `temporal`."""

    channels_in: int
    channels_out: int
    temporal: bool


Layer = Residual | Attention | Resample


@dataclass(frozen=True)
class Stage:
    """Layers in sequence, with a shortcut around them (Wan 2.2)."""

    layers: tuple[Layer, ...]

    @property
    def channels_in(self) -> int:
        return self.layers[0].channels_in

    @property
    def channels_out(self) -> int:
        return self.layers[-1].channels_out

    @property
    def resample(self) -> Resample | None:
        return next((layer for layer in self.layers if isinstance(layer, Resample)), None)

    @property
    def space(self) -> int:
        """Factor in height and in width."""
        return 2 if self.resample else 1

    @property
    def time(self) -> int:
        return 2 if self.resample and self.resample.temporal else 1


@dataclass(frozen=True)
class Half:
    """An encoder or a decoder: first convolution, body, middle (block, attention, block), head."""

    channels_in: int
    width: int  # after the first convolution
    body: tuple[Layer | Stage, ...]
    middle: int  # channels of the middle blocks
    head: int  # channels entering the head
    channels_out: int

    @property
    def layers(self) -> list[Layer]:
        return [
            layer for item in self.body for layer in (item.layers if isinstance(item, Stage) else (item,))
        ]

    @property
    def resamples(self) -> list[Resample]:
        return [layer for layer in self.layers if isinstance(layer, Resample)]


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build the network of one checkpoint."""

    encoder: Half
    decoder: Half
    latent_channels: int
    patch_size: int  # pixels of a patch side folded into channels before the encoder

    @property
    def temporal_stride(self) -> int:
        return int(2 ** sum(layer.temporal for layer in self.decoder.resamples))

    @property
    def spatial_stride(self) -> int:
        return int(self.patch_size * 2 ** len(self.decoder.resamples))

    @classmethod
    def from_view(cls, view: FileView) -> Architecture:
        """Reads a checkpoint with the original key names. Raises `CheckpointError`."""
        encoder = read_half(view, "encoder", "downsamples")
        decoder = read_half(view, "decoder", "upsamples")
        latent_channels = decoder.channels_in
        patch = math.isqrt(encoder.channels_in // 3)
        if 3 * patch * patch != encoder.channels_in or decoder.channels_out != encoder.channels_in:
            raise CheckpointError(
                view.path,
                f"takes {encoder.channels_in} and gives {decoder.channels_out} channels, not RGB patches",
            )
        if encoder.channels_out != 2 * latent_channels:
            raise CheckpointError(
                view.path,
                f"encodes to {encoder.channels_out} channels, not mean and variance of {latent_channels}",
            )
        if len(encoder.resamples) != len(decoder.resamples):
            raise CheckpointError(view.path, "encoder and decoder differ in stride")
        return cls(encoder, decoder, latent_channels, patch)


def read_half(view: FileView, half: str, name: str) -> Half:
    """The encoder or decoder at `half`, whose resampling layers are listed under `name`."""
    width, channels_in = shape(view, f"{half}.conv1.weight", 5)[:2]
    channels_out, head = shape(view, f"{half}.head.2.weight", 5)[:2]
    middle = shape(view, f"{half}.middle.1.proj.weight", 4)[0]
    body = tuple(read_item(view, f"{half}.{name}.{i}", name) for i in children(view, f"{half}.{name}"))
    check_widths(view, half, width, body, head)
    for stage in body:
        if isinstance(stage, Stage):
            check_stage(view, stage, half)
    return Half(channels_in, width, body, middle, head, channels_out)


def read_item(view: FileView, prefix: str, name: str) -> Layer | Stage:
    nested = f"{prefix}.{name}"
    if any(key.startswith(f"{nested}.") for key in view.entries):
        return Stage(tuple(read_layer(view, f"{nested}.{j}") for j in children(view, nested)))
    return read_layer(view, prefix)


def read_layer(view: FileView, prefix: str) -> Layer:
    if f"{prefix}.residual.2.weight" in view:
        channels_out, channels_in = shape(view, f"{prefix}.residual.2.weight", 5)[:2]
        return Residual(channels_in, channels_out)
    if f"{prefix}.to_qkv.weight" in view:
        return Attention(shape(view, f"{prefix}.to_qkv.weight", 4)[1])
    if f"{prefix}.resample.1.weight" in view:
        channels_out, channels_in = shape(view, f"{prefix}.resample.1.weight", 4)[:2]
        return Resample(channels_in, channels_out, temporal=f"{prefix}.time_conv.weight" in view)
    raise CheckpointError(view.path, "holds no residual block, attention or resampling layer", prefix)


def children(view: FileView, prefix: str) -> range:
    """The numbers under `prefix`, which must run from 0 without a gap."""
    start = f"{prefix}."
    heads = {key[len(start) :].partition(".")[0] for key in view.entries if key.startswith(start)}
    found = sorted(int(head) for head in heads if head.isdecimal())
    if not found or found != list(range(len(found))):
        raise CheckpointError(view.path, f"numbers its layers {found}, not 0, 1, 2, …", prefix)
    return range(len(found))


def shape(view: FileView, key: str, dimensions: int) -> tuple[int, ...]:
    if key not in view:
        raise CheckpointError(view.path, "missing", key)
    found = view.shape(key)
    if len(found) != dimensions or 0 in found:
        raise CheckpointError(view.path, f"has shape {list(found)}, not {dimensions} dimensions", key)
    return found


def check_widths(view: FileView, half: str, width: int, body: Sequence[Layer | Stage], head: int) -> None:
    flat = [layer for item in body for layer in (item.layers if isinstance(item, Stage) else (item,))]
    gives = [width, *(layer.channels_out for layer in flat)]
    takes = [*(layer.channels_in for layer in flat), head]
    for i, (given, taken) in enumerate(zip(gives, takes, strict=True)):
        if given != taken:
            raise CheckpointError(view.path, f"layer {i} takes {taken} channels but is given {given}", half)


def check_stage(view: FileView, stage: Stage, half: str) -> None:
    """The shortcut folds or repeats whole groups of channels; the decoder's last stage has none."""
    if half == "decoder" and stage.resample is None:
        return
    narrow, wide = (
        (stage.channels_out, stage.channels_in)
        if half == "encoder"
        else (stage.channels_in, stage.channels_out)
    )
    if wide * stage.time * stage.space**2 % narrow:
        raise CheckpointError(view.path, f"stage of {wide} and {narrow} channels has no even shortcut", half)
