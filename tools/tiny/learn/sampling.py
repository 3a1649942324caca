"""Videos from the models as they are in training, many at a time: a look while the GPU is at hand.

What is shipped is scored through the engine (`benchmarks/tiny_score.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.tiny.learn.autoencoder import decode
from tools.tiny.learn.batched import velocity
from tools.tiny.learn.flow import FlowModels, encode_text
from tools.tiny.learn.latents import ClipSize
from tools.tiny.score.prompts import Prompt
from tools.tiny.score.vision import look
from wancore.vae.network import VaeNetwork
from wancore.vae.statistics import LatentStatistics


@dataclass(frozen=True)
class Sampler:
    """Guided Euler steps over shifted levels."""

    models: FlowModels
    network: VaeNetwork
    statistics: LatentStatistics
    steps: int = 16
    shift: float = 5.0
    guidance: float = 4.0

    @torch.no_grad()
    def __call__(
        self, texts: Sequence[str], size: ClipSize, device: torch.device, seed: int = 0
    ) -> NDArray[np.uint8]:
        """uint8 frames [B, T, H, W, 3]."""
        generator = torch.Generator(device).manual_seed(seed)
        frames = 1 + (size.frames - 1) // 4
        shape = (len(texts), 16, frames, size.height // 8, size.width // 8)
        x = torch.randn(shape, device=device, generator=generator)
        text, empty = (encode_text(self.models, t, device) for t in (texts, [""] * len(texts)))
        even = torch.linspace(1, 0, self.steps + 1)
        levels = (self.shift * even / (1 + (self.shift - 1) * even)).tolist()
        for level, after in pairwise(levels):
            times = torch.full((len(texts), frames), level * 1000, device=device)
            v, base = (velocity(self.models.transformer, x, times, t) for t in (text, empty))
            x = x + (after - level) * (base + self.guidance * (v - base))
        raw = self.statistics.denormalise(x).to(self.network.conv1.weight.dtype)
        video = torch.cat([decode(self.network, part).float() for part in raw.split(16)])
        return pixels(video)


def pixels(video: Tensor) -> NDArray[np.uint8]:
    """[B, 3, T, H, W] in [-1, 1] -> [B, T, H, W, 3]."""
    scaled: Tensor = ((video.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 4, 1).cpu().numpy()


def shares(videos: Sequence[NDArray[np.uint8]], prompts: Sequence[Prompt]) -> dict[str, float]:
    """The share of videos whose colour, shape and motion is as asked for."""
    right: Counter[str] = Counter()
    for video, prompt in zip(videos, prompts, strict=True):
        seen = look(video)
        for name in ("colour", "shape", "motion"):
            right[name] += getattr(seen, name) == getattr(prompt.wanted, name)
        right["background"] += seen.background == prompt.background
    return {name: count / len(prompts) for name, count in right.items()}


def write_sheet(videos: NDArray[np.uint8], file: Path, columns: int = 3, shown: int = 5) -> None:
    """A contact sheet: `columns` videos beside each other, `shown` frames of each."""
    from wancore.media.png import write_png
    from wancore.media.sheet import contact_sheet

    at = np.linspace(0, videos.shape[1] - 1, shown).round().astype(int)
    write_png(file, contact_sheet(videos[:, at].reshape(-1, *videos.shape[2:]), columns * shown))
