"""The released models that there is a tiny one of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Layout = Literal["upstream", "diffusers"]
Version = Literal["2.1", "2.2"]


@dataclass(frozen=True)
class Kind:
    """One released model. `channels`: of its latents; `in_dim`: those, and what it reads beside them.

    `clip`: it reads an image encoder's tokens; `positions`: those of two images. `boundary`: where its
    two experts change, None for one transformer.
    """

    model_type: str
    in_dim: int = 16
    channels: int = 16
    clip: bool = False
    positions: bool = False
    boundary: float | None = None

    @property
    def vae(self) -> Version:
        return "2.2" if self.channels == 48 else "2.1"

    @property
    def experts(self) -> int:
        return 2 if self.boundary else 1


KINDS = {
    "t2v": Kind("t2v"),
    "i2v": Kind("i2v", in_dim=36, clip=True),
    "flf2v": Kind("flf2v", in_dim=36, clip=True, positions=True),
    "t2v-a14b": Kind("t2v", boundary=0.875),
    "i2v-a14b": Kind("i2v", in_dim=36, boundary=0.9),
    "ti2v": Kind("ti2v", in_dim=48, channels=48),
}
