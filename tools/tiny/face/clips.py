"""Clips of talking faces as the transformer reads them, drawn on the fly and kept on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from wancore_talking.features import Features
from wancore_talking.stills import known_mask

from tools.tiny.face.hearing import states
from tools.tiny.face.raster import render
from tools.tiny.face.scene import draw_face
from tools.tiny.face.sound import FPS, draw_speech, opening
from tools.tiny.learn.autoencoder import encode
from wancore.encoders.audio import normalise_waveform
from wancore.encoders.image import ImageEncoder
from wancore.vae.network import VaeNetwork

SIDE = 128
SECONDS = 6.0
MOTION = 9  # pixel frames that a window takes over from the one before
CONTINUED = 0.4  # share of clips that begin with them
LOOK = 8.0  # how much more the mouth counts in the loss


@dataclass(frozen=True)
class Heard:
    """Sounds: audio windows around every frame [n, N, 5, layers, width], and openings [n, N]."""

    windows: Tensor
    openings: Tensor


@torch.no_grad()
def draw_sounds(network: Any, count: int, rng: np.random.Generator, device: torch.device) -> Heard:
    frames = round(SECONDS * FPS)
    windows, openings = [], []
    for start in range(0, count, 16):
        sounds = [draw_speech(rng, SECONDS) for _ in range(min(16, count - start))]
        waves = torch.stack([normalise_waveform(torch.from_numpy(s)) for s in sounds]).to(device)
        for rows in states(network, waves, frames):
            windows.append(Features(rows.cpu()).window(0, frames))
        openings += [torch.from_numpy(opening(s, frames)) for s in sounds]
    return Heard(torch.stack(windows).to(device), torch.stack(openings).to(device))


@dataclass(frozen=True)
class Batch:
    """`latents` [B, 16, F, h, w] to learn; `still` [B, 20, F, h, w]: mask and latents of the picture;
    `image` [B, L, C]; `heard` [B, frames, 5, layers, width]; `weights` [B, F, h, w] of the loss, 0 where
    frames are known; `known` [B, F]: those frames."""

    latents: Tensor
    still: Tensor
    image: Tensor
    heard: Tensor
    weights: Tensor
    known: Tensor

    def rows(self, at: Tensor) -> Batch:
        return Batch(*(t[at] for t in vars(self).values()))


class Studio:
    """Draws batches of clips of `frames`."""

    def __init__(
        self,
        network: VaeNetwork,
        normalise: Callable[[Tensor], Tensor],
        image_encoder: ImageEncoder,
        sounds: Heard,
        device: torch.device,
        seed: int,
    ) -> None:
        self.network, self.normalise, self.image_encoder = network, normalise, image_encoder
        self.sounds, self.device = sounds, device
        self.rng = np.random.default_rng(seed)

    def encode(self, video: Tensor) -> Tensor:
        dtype = self.network.conv1.weight.dtype
        return self.normalise(encode(self.network, video.to(dtype))[0].float())

    @torch.no_grad()
    def draw(self, count: int, frames: int) -> Batch:
        rng, device = self.rng, self.device
        chosen = torch.from_numpy(rng.integers(len(self.sounds.openings), size=count)).to(device)
        room = self.sounds.openings.shape[1] - frames
        at = torch.from_numpy(rng.integers(room + 1, size=count)).to(device)[:, None]
        at = at + torch.arange(frames, device=device)
        openings, heard = self.sounds.openings[chosen[:, None], at], self.sounds.windows[chosen[:, None], at]
        continued = torch.from_numpy(rng.random(count) < CONTINUED).to(device)
        silent = torch.from_numpy(rng.random(count)).float().to(device) ** 2  # of the picture's mouth
        openings = openings.clone()
        openings[:, 0] = torch.where(continued, openings[:, 0], silent)
        faces = [draw_face(rng, frames) for _ in range(count)]
        video = render(faces, openings, SIDE, device)
        earlier = [
            replace(f, sway=(*f.sway[:2], float(rng.uniform(0, 6.28))), blinks=()) for f in faces
        ]  # the picture of a window that goes on is an older one
        older = render(earlier, silent[:, None], SIDE, device)
        picture = torch.where(continued.view(-1, 1, 1, 1, 1), older, video[:, :, :1])
        grey = torch.zeros_like(video[:, :, 1:])
        latents, still = self.encode(video), self.encode(torch.cat((picture, grey), dim=2))
        mask = known_mask(1, frames, *latents.shape[-2:]).to(still).expand(count, -1, -1, -1, -1)
        known = torch.zeros(count, latents.shape[2], dtype=torch.bool, device=device)
        known[:, 0] = True
        known[:, : 1 + (MOTION - 1) // 4] |= continued[:, None]
        weights = mouths(faces, latents.shape[-1], device)[:, None] * ~known[:, :, None, None]
        image = self.image_encoder.encode(list(picture[:, :, 0]))
        half = torch.bfloat16
        return Batch(
            latents.to(half), torch.cat((mask, still), dim=1).to(half), image.to(half), heard.to(half),
            weights.to(half), known,
        )  # fmt: skip


def mouths(faces: list[Any], side: int, device: torch.device) -> Tensor:
    """[B, side, side]: how much each place counts."""
    at = (torch.arange(side) + 0.5) / side
    rows = []
    for f in faces:
        low = f.y + 0.52 * f.height
        across = F.relu((at - f.x).abs() - f.mouth - 0.03) == 0
        down = F.relu((at - low).abs() - f.reach - 0.04) == 0
        rows.append(1 + LOOK * (down[:, None] & across[None]).float())
    return torch.stack(rows).to(device)
