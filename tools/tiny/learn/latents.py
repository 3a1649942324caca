"""Latents of corpus clips, a store for each size of clip: filled once, then renewed bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tools.tiny.corpus.captions import caption
from tools.tiny.corpus.chance import pick
from tools.tiny.corpus.raster import render
from tools.tiny.corpus.scene import Frame, draw_scene
from tools.tiny.learn.autoencoder import FPS, encode
from wancore.vae.network import VaeNetwork


@dataclass(frozen=True)
class ClipSize:
    """Pixel frames, height and width; `share` of the batches."""

    frames: int
    height: int
    width: int
    share: float

    @property
    def tokens(self) -> int:
        return (1 + (self.frames - 1) // 4) * (self.height // 16) * (self.width // 16)


SIZES = (
    ClipSize(33, 128, 128, 0.56),
    ClipSize(33, 96, 160, 0.12),
    ClipSize(33, 160, 96, 0.08),
    ClipSize(17, 128, 128, 0.08),
    ClipSize(49, 128, 128, 0.08),
    ClipSize(33, 160, 160, 0.08),
)
WORDINGS = 4  # captions kept for each clip


class Store:
    """Up to `capacity` clips of one size: latents [n, C, F, h, w] and a few captions of each.

    `normalise`: raw latents to those the transformer sees.
    """

    def __init__(
        self,
        size: ClipSize,
        capacity: int,
        network: VaeNetwork,
        normalise: Callable[[Tensor], Tensor],
        device: torch.device,
        seed: int,
    ) -> None:
        self.size, self.capacity, self.network, self.normalise = size, capacity, network, normalise
        self.device = device
        self.rng = np.random.default_rng(seed)
        self.texts: list[list[str]] = []
        self.latents: Tensor | None = None
        self.next = 0

    @torch.no_grad()
    def renew(self, count: int) -> None:
        """Adds `count` fresh clips; the oldest give way when the store is full."""
        size, frame = self.size, Frame.of(self.size.width, self.size.height)
        scenes = [draw_scene(self.rng, frame, size.frames / FPS) for _ in range(count)]
        video = render(scenes, size.frames, size.height, size.width, self.device)
        latents = self.normalise(encode(self.network, video.to(self.network.conv1.weight.dtype))[0])
        if self.latents is None:
            shape = (self.capacity, *latents.shape[1:])
            self.latents = torch.empty(shape, dtype=torch.bfloat16, device=self.device)
        at = [(self.next + i) % self.capacity for i in range(count)]
        self.latents[torch.tensor(at, device=self.device)] = latents.to(torch.bfloat16)
        for i, scene in zip(at, scenes, strict=True):
            wordings = [caption(self.rng, scene) for _ in range(WORDINGS)]
            if i == len(self.texts):
                self.texts.append(wordings)
            else:
                self.texts[i] = wordings
        self.next = (self.next + count) % self.capacity

    def draw(self, count: int, no_text: float) -> tuple[Tensor, list[str]]:
        """Latents [count, C, F, h, w] and a caption of each; a share `no_text` has none."""
        if self.latents is None:
            raise ValueError("an empty store")
        at = self.rng.integers(len(self.texts), size=count)
        bare = self.rng.random(count) < no_text
        texts = ["" if b else pick(self.rng, self.texts[i]) for i, b in zip(at, bare, strict=True)]
        return self.latents[torch.from_numpy(at).to(self.device)].float(), texts
