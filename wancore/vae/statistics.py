"""Mean and standard deviation of raw latents, by which the diffusion models' latents are normalised.

Source: Wan-Video/Wan2.1 `wan/modules/vae.py` (16 channels), Wan-Video/Wan2.2 `vae2_2.py` (48).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from torch import Tensor

from wancore.checkpoints import FileView
from wancore.errors import CheckpointError, InvalidInput
from wancore.kernels.constants import constant


@dataclass(frozen=True)
class LatentStatistics:
    """Per latent channel: normalised = (raw - mean) / std. Raises `InvalidInput` if they do not pair."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not all(s > 0 for s in self.std):
            raise InvalidInput("latents_std", self.std, f"{len(self.mean)} positive numbers")

    @classmethod
    def identity(cls, channels: int) -> LatentStatistics:
        """Leaves latents raw."""
        return cls((0.0,) * channels, (1.0,) * channels)

    @classmethod
    def of(cls, view: FileView, channels: int) -> LatentStatistics:
        """Those of the checkpoint's config.json, else the published ones. Raises `CheckpointError`."""
        config = view.config or {}
        if "latents_mean" in config and "latents_std" in config:
            found = cls(tuple(config["latents_mean"]), tuple(config["latents_std"]))
            if len(found.mean) != channels:
                raise CheckpointError(
                    view.path, f"config.json has {len(found.mean)} latents_mean for {channels} channels"
                )
            return found
        known = published()
        if str(channels) not in known:
            raise CheckpointError(
                view.path,
                f"has {channels} latent channels, whose mean and deviation are unknown; "
                f"known: {', '.join(known)}",
            )
        return cls(tuple(known[str(channels)]["mean"]), tuple(known[str(channels)]["std"]))

    def normalise(self, raw: Tensor) -> Tensor:
        """`raw` [B, C, ...] -> float32 of the same shape."""
        mean, std = self.columns(raw)
        return (raw.float() - mean) / std

    def denormalise(self, latent: Tensor) -> Tensor:
        """`latent` [B, C, ...] -> float32 of the same shape."""
        mean, std = self.columns(latent)
        return latent.float() * std + mean

    def columns(self, like: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1, *[1] * (like.ndim - 2))
        return constant(self.mean, like.device).view(shape), constant(self.std, like.device).view(shape)


@cache
def published() -> Mapping[str, Any]:
    text = files("wancore.vae").joinpath("latent_statistics.json").read_text(encoding="utf-8")
    return json.loads(text)
