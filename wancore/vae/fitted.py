"""A decoder stream that chooses its way when it sees the size of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wancore.vae.stream import DecoderStream, check_clip
from wancore.vae.tiled import TiledDecoderStream

if TYPE_CHECKING:
    from wancore.vae.vae import Vae


class FittedDecoderStream:
    """Latent frames to pixel frames as they come: several at a time, one, or in tiles, as memory allows.

    Where not even a history for every tile fits in the budget, it takes more: frames that leave early
    need one.
    """

    def __init__(self, vae: Vae) -> None:
        self.vae = vae
        self.stream: DecoderStream | TiledDecoderStream | None = None

    def push(self, latent: Tensor) -> Tensor:
        """`latent` [C, n >= 1, h, w], normalised -> float32 [3, frames, H, W] in [-1, 1], same device.

        Raises `InvalidInput` for a wrong shape or a size that changes within the stream.
        """
        return torch.cat(list(self.steps(latent)), dim=1)

    def steps(self, latent: Tensor) -> Iterator[Tensor]:
        """As `push`, but yields the frames of each pass through the network as soon as they exist."""
        if self.stream is None:
            check_clip("latent", latent, self.vae.latent_channels)
            self.stream = self.begin(*latent.shape[2:])
        yield from self.stream.steps(latent)

    def begin(self, height: int, width: int) -> DecoderStream | TiledDecoderStream:
        fit = self.vae.fit_decoder(height, width)
        if fit.tiling is not None:
            return self.vae.tiled_decoder_stream(fit.tiling)
        return self.vae.decoder_stream(step=fit.step)
