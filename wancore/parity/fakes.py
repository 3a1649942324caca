"""Stand-ins that golden cases describe in their notes, for the parts a case is not about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import torch
from einops import reduce
from torch import Tensor

from wancore.parity import seeded


@dataclass(frozen=True)
class FakeVae:
    """Block means over space, means over the causal frame groups, then a fixed matrix over channels.

    `matrix`, `scale`: the seeded tensor that is the matrix.
    """

    latent_channels: int = 16
    spatial_stride: int = 8
    temporal_stride: int = 4
    matrix: str = "fake_vae/encode"
    scale: float = 1.5

    def encode(self, video: Tensor) -> Tensor:
        """[3, 1 + 4k, H, W] -> [C, 1 + k, h, w]."""
        s = self.spatial_stride
        small = reduce(video, "c t (h p) (w q) -> c t h w", "mean", p=s, q=s)
        later = reduce(small[:, 1:], "c (t four) h w -> c t h w", "mean", four=self.temporal_stride)
        matrix = torch.from_numpy(seeded.tensor(self.matrix, [self.latent_channels, 3], self.scale))
        return torch.einsum("zc,cthw->zthw", matrix, torch.cat((small[:, :1], later), dim=1))

    def frame_stream(self) -> FakeStream:
        return FakeStream()


class FakeStream:
    """Decoding that leaves the latent as it is."""

    def steps(self, latent: Tensor) -> Iterator[Tensor]:
        yield from latent.split(1, dim=1)


class NoSound:
    """The sound of cases that have none: a part of their stand-in for a family's tools."""

    def audio(self, role: str) -> NoReturn:
        raise AssertionError("the cases give no sound")

    def speech(self, waveform: Tensor, frames: int) -> NoReturn:
        raise AssertionError("the cases give no sound")

    @property
    def live(self) -> NoReturn:
        raise AssertionError("the cases give no sound")
