"""The sizes of a TAEHV network, read off a checkpoint."""

from __future__ import annotations

import math

from wancore.checkpoints import FileView
from wancore.errors import CheckpointError
from wancore.vae.architecture import shape
from wancore.vae.taehv import DecoderSpec, EncoderSpec

#: Frames that a latent frame stands for.
FRAMES = 4


def read_encoder(view: FileView) -> EncoderSpec:
    """Raises `CheckpointError`."""
    width, pixels = shape(view, "encoder.0.weight", 4)[:2]
    pools = ratio(view, 2, by_inputs=True), ratio(view, 7, by_inputs=True), ratio(view, 12, by_inputs=True)
    check_frames(view, pools)
    return EncoderSpec(pixels, width, pools, latent=shape(view, "encoder.17.weight", 4)[0])


def read_decoder(view: FileView, *, wide: bool) -> DecoderSpec:
    """`wide`: the larger decoder. Raises `CheckpointError`."""
    if wide:
        first = shape(view, "decoder.0.weight", 4)
        rest = [shape(view, f"decoder.{i}.weight", 4)[0] // 4 for i in (4, 11, 18)]
    else:
        first = shape(view, "decoder.1.weight", 4)
        rest = [shape(view, f"decoder.{i}.weight", 4)[0] for i in (8, 14, 20)]
    grows = (7, 14, 21) if wide else (7, 13, 19)
    frames = ratio(view, grows[0]), ratio(view, grows[1]), ratio(view, grows[2])
    check_frames(view, frames)
    pixels = shape(view, "decoder.22.weight", 4)[0]
    return DecoderSpec(first[1], (first[0], rest[0], rest[1], rest[2]), frames, pixels)


def ratio(view: FileView, index: int, *, by_inputs: bool = False) -> int:
    """Frames per frame of the 1x1 convolution that pools (encoder) or grows (decoder)."""
    key = f"{'encoder' if by_inputs else 'decoder'}.{index}.conv.weight"
    out, into = shape(view, key, 4)[:2]
    large, small = (into, out) if by_inputs else (out, into)
    if large % small:
        raise CheckpointError(
            view.path, f"has {out} outputs for {into} inputs, no whole number of frames", key
        )
    return large // small


def check_frames(view: FileView, factors: tuple[int, int, int]) -> None:
    if math.prod(factors) != FRAMES:
        raise CheckpointError(
            view.path, f"has {math.prod(factors)} frames per latent frame; accepted: {FRAMES}"
        )


def patch_size(view: FileView, pixels: int) -> int:
    """Side of the pixel patch that `pixels` RGB channels hold. Raises `CheckpointError`."""
    side = math.isqrt(pixels // 3)
    if 3 * side * side != pixels:
        raise CheckpointError(view.path, f"has {pixels} pixel channels, not RGB patches")
    return side
