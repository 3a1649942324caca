"""Stand-ins that golden cases describe in their notes, for the parts a case is not about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import torch
from einops import reduce
from torch import Tensor

from wancore.parity import seeded
from wancore.transformer.attached import Attached
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs
from wancore.transformer.rope import Frequencies


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

    def encode(self, video: Tensor, *, still_from: int | None = None) -> Tensor:
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


@dataclass(kw_only=True)
class FakeExpert:
    """An expert without a network: what a case's notes say in its place is the subclass's `predict`."""

    attached: Attached = field(default_factory=lambda: Attached({}, 0))
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    frequencies: Frequencies = field(default_factory=lambda: Frequencies(16))

    @property
    def model(self) -> WanTransformer:
        raise AssertionError("the cases embed nothing")

    def embed_text(self, text: Tensor | None, image: Tensor | None) -> EmbeddedText:
        """As they are: text [n, C] and image [L, C]."""
        return EmbeddedText(text, image, [])

    def predict(self, inputs: Inputs) -> Tensor:
        """The velocity [C, F, h, w]."""
        raise NotImplementedError


class NoSound:
    """The sound of cases that have none: a part of their stand-in for a family's tools."""

    def audio(self, role: str) -> NoReturn:
        raise AssertionError("the cases give no sound")

    def speech(self, waveform: Tensor, frames: int) -> NoReturn:
        raise AssertionError("the cases give no sound")

    @property
    def live(self) -> NoReturn:
        raise AssertionError("the cases give no sound")
