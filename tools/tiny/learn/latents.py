"""Latents of corpus clips, a store for each size of clip: filled once, then renewed bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tools.tiny.corpus.captions import caption
from tools.tiny.corpus.raster import render
from tools.tiny.corpus.scene import Frame, draw_scene
from tools.tiny.learn.autoencoder import FPS, encode
from tools.tiny.learn.sizes import LATENT_CHANNELS
from tools.tiny.learn.words import PAD, Captions
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


MAIN = ClipSize(33, 128, 128, 0.75)
#: The others come in half way, when what is shown is settled.
OTHERS = (
    ClipSize(33, 96, 160, 0.06),
    ClipSize(33, 160, 96, 0.05),
    ClipSize(17, 128, 128, 0.05),
    ClipSize(49, 128, 128, 0.05),
    ClipSize(33, 160, 160, 0.04),
)
WORDINGS = 4  # captions kept for each clip


@dataclass(frozen=True)
class Fresh:
    """Clips for a store: latents [n, C, F, h, w] and ids [n, 4, L]."""

    latents: Tensor
    ids: Tensor


class Store:
    """Up to `capacity` clips of one size: latents [n, C, F, h, w] and captions of each as ids [n, 4, L].

    All on the device, so that drawing from it can be part of a recorded step. `normalise`: raw latents to
    those the transformer sees.
    """

    def __init__(
        self,
        size: ClipSize,
        capacity: int,
        network: VaeNetwork,
        normalise: Callable[[Tensor], Tensor],
        captions: Captions,
        device: torch.device,
        seed: int,
    ) -> None:
        self.size, self.network, self.normalise = size, network, normalise
        self.captions, self.device = captions, device
        self.rng = np.random.default_rng(seed)
        frames = 1 + (size.frames - 1) // 4
        shape = (capacity, LATENT_CHANNELS, frames, size.height // 8, size.width // 8)
        self.latents = torch.empty(shape, dtype=torch.bfloat16, device=device)
        self.ids = torch.full((capacity, WORDINGS, captions.length), PAD, dtype=torch.int32, device=device)
        self.nothing = captions([""])[0][0].to(device)
        self.kept = torch.zeros((), device=device)
        self.renewed = 0

    @torch.no_grad()
    def prepare(self, count: int) -> Fresh:
        """`count` fresh clips, drawn and encoded; touches nothing that a step reads, so any thread may."""
        size, frame = self.size, Frame.of(self.size.width, self.size.height)
        scenes = [draw_scene(self.rng, frame, size.frames / FPS) for _ in range(count)]
        texts = [caption(self.rng, scene) for scene in scenes for _ in range(WORDINGS)]
        ids = self.captions(texts)[0].to(torch.int32).unflatten(0, (count, WORDINGS)).to(self.device)
        video = render(scenes, size.frames, size.height, size.width, self.device)
        latents = self.normalise(encode(self.network, video.to(self.network.conv1.weight.dtype))[0])
        return Fresh(latents.to(torch.bfloat16), ids)

    def accept(self, fresh: Fresh) -> None:
        """Keeps them; the oldest give way when the store is full."""
        capacity, count = len(self.latents), len(fresh.ids)
        at = min(self.renewed % capacity, capacity - count)
        self.latents[at : at + count] = fresh.latents
        self.ids[at : at + count] = fresh.ids
        self.renewed += count
        self.kept.fill_(float(min(self.renewed, capacity)))

    def draw(self, count: int, no_text: float) -> tuple[Tensor, Tensor]:
        """Latents [count, C, F, h, w] float32, and ids [count, L] of a caption of each or, for a share
        `no_text`, of none. Waits for nothing and takes what the store holds when it runs."""
        at = (torch.rand(count, device=self.device) * self.kept).long()
        wording = torch.randint(WORDINGS, (count,), device=self.device)
        bare = torch.rand(count, device=self.device) < no_text
        ids = torch.where(bare[:, None], self.nothing, self.ids[at, wording].long())
        return self.latents[at].float(), ids
