"""Encoding and decoding tile by tile, for pictures whose activations do not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wancore.errors import InvalidInput
from wancore.vae.stream import check_clip
from wancore.vae.tiling import Blend, Tiling

if TYPE_CHECKING:
    from wancore.vae.vae import Vae


def decode_tiled(vae: Vae, latent: Tensor, tiling: Tiling, *, clamp: bool = True) -> Tensor:
    """Normalised `latent` [C, T, h, w] -> video [3, 1 + 4(T - 1), H, W], in [-1, 1] if `clamp`.

    One tile at a time over all frames: least memory, but no frame is finished before the last tile.
    """
    scale = vae.spatial_stride
    height, width = latent.shape[2:]
    shape = (3, vae.pixel_frames(latent.shape[1]), height * scale, width * scale)
    blend = Blend(shape, overlap(tiling.scaled(scale)), latent.device)
    for tile in tiling.tiles(height, width):
        position = (tile.row.start * scale, tile.column.start * scale)
        done = 0
        for frames in vae.decoder_stream(clamp=False).steps(tile.crop(latent)):
            blend.add(frames, tile, position, done)
            done += frames.shape[1]
    video = blend.result()
    return video.clamp_(-1, 1) if clamp else video


def encode_tiled(vae: Vae, video: Tensor, tiling: Tiling | None = None) -> Tensor:
    """`video` [3, 1 + 4k, H, W] in [-1, 1] -> normalised latents [C, 1 + k, h, w].

    Without `tiling`: tiles of half the picture, a quarter apart. Raises `InvalidInput` if the
    picture does not divide so.
    """
    scale = vae.spatial_stride
    height, width = video.shape[2:]
    pixels = halves(height, width, scale) if tiling is None else tiling.scaled(scale)
    shape = (vae.latent_channels, vae.latent_frames(video.shape[1]), height // scale, width // scale)
    rows, columns = overlap(pixels)
    blend = Blend(shape, (rows // scale, columns // scale), video.device)
    for tile in pixels.tiles(height, width):
        position = (tile.row.start // scale, tile.column.start // scale)
        for i, frame in enumerate(vae.encoder_stream().steps(tile.crop(video))):
            blend.add(frame, tile, position, i)  # one latent frame at a time
    return blend.result()


def halves(height: int, width: int, scale: int) -> Tiling:
    """Tiles of half a picture, a quarter apart, in pixels.

    A quarter need not be a whole number of latent pixels; such a tile is placed at the one it
    starts in.
    """
    if height % (2 * scale) or width % (2 * scale):
        raise InvalidInput(
            "tiling", None, f"None only for sides that are multiples of {2 * scale}, not {height} and {width}"
        )
    return Tiling((height // 2, width // 2), (height // 4, width // 4))


def overlap(tiling: Tiling) -> tuple[int, int]:
    return tiling.size[0] - tiling.stride[0], tiling.size[1] - tiling.stride[1]


class TiledDecoderStream:
    """A `DecoderStream` over tiles: frames leave as latents come, equal to `decode_tiled`.

    Keeps one history per tile, so the tiles' overlaps are remembered several times over.
    """

    def __init__(self, vae: Vae, tiling: Tiling) -> None:
        self.vae, self.tiling = vae, tiling
        self.reset()

    def reset(self) -> None:
        """Forgets the past: the next latent frame is a first one."""
        self.size: torch.Size | None = None

    def push(self, latent: Tensor) -> Tensor:
        """`latent` [C, n >= 1, h, w], normalised -> float32 [3, frames, H, W] in [-1, 1], same device.

        Raises `InvalidInput` for a wrong shape or a size that changes within the stream.
        """
        return torch.cat(list(self.steps(latent)), dim=1)

    def steps(self, latent: Tensor) -> Iterator[Tensor]:
        """As `push`, but yields the frames of each latent frame as soon as they exist."""
        check_clip("latent", latent, self.vae.latent_channels)
        if self.size is None:
            self.begin(latent.shape[-2:])
        elif self.size != latent.shape[-2:]:
            raise InvalidInput(
                "latent", tuple(latent.shape), f"frames of {list(self.size)}, as the stream began"
            )
        for frame in latent.unbind(1):
            yield self.decode(frame[:, None])

    def begin(self, size: torch.Size) -> None:
        self.size = size
        self.streams = [
            (tile, self.vae.decoder_stream(clamp=False)) for tile in self.tiling.tiles(size[0], size[1])
        ]

    def decode(self, frame: Tensor) -> Tensor:  # [C, 1, h, w] -> [3, 1 or 4, H, W]
        scale = self.vae.spatial_stride
        first = self.streams[0][1].history.first
        shape = (
            3,
            1 if first else self.vae.temporal_stride,
            frame.shape[2] * scale,
            frame.shape[3] * scale,
        )
        blend = Blend(shape, overlap(self.tiling.scaled(scale)), frame.device)
        for tile, stream in self.streams:
            position = (tile.row.start * scale, tile.column.start * scale)
            blend.add(stream.push(tile.crop(frame)), tile, position)
        return blend.result().clamp_(-1, 1)
