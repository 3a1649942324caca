"""How well mouths follow, looked at while the models are in training; the shipped face has a test."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tools.tiny.face.forward import face_velocity
from tools.tiny.face.seeing import correlation, mouth_areas
from tools.tiny.learn.autoencoder import decode
from tools.tiny.learn.batched import Text
from tools.tiny.learn.sampling import pixels, write_sheet
from tools.tiny.learn.stages import encoder_of, wanted_statistics

if TYPE_CHECKING:
    from tools.tiny.face.clips import Batch, Studio
    from tools.tiny.face.train import FaceModels
    from tools.tiny.learn.stages import Workshop

STEPS, SHIFT, GUIDANCE = 8, 5.0, 2.0


@torch.no_grad()
def sampled(models: FaceModels, batch: Batch) -> Tensor:
    """Normalised latents [B, 16, F, h, w] by guided Euler steps, known frames held."""
    count = len(batch.latents)
    text = Text.of(models.text[:1].expand(count, -1, -1), models.mask[:1].expand(count, -1), 512)
    known = batch.known[:, None, :, None, None]
    x = torch.randn_like(batch.latents, dtype=torch.float32)
    even = torch.linspace(1, 0, STEPS + 1)
    for level, after in pairwise((SHIFT * even / (1 + (SHIFT - 1) * even)).tolist()):
        x = torch.where(known, batch.latents.float(), x)
        channels = torch.cat((x.to(batch.still.dtype), batch.still), dim=1)
        times = torch.full((count,), level * 1000, device=x.device)
        v, silent = (
            face_velocity(models.transformer, models.adapter, channels, times, text, batch.image, heard)
            for heard in (batch.heard, torch.zeros_like(batch.heard))
        )
        x = x + (after - level) * (silent + GUIDANCE * (v - silent))
    return torch.where(known, batch.latents.float(), x)


@torch.no_grad()
def score(shop: Workshop, base: Workshop, models: FaceModels, studio: Studio, count: int = 16) -> None:
    """Reports correlations of mouths with the drawn truth and with each other's, and draws a sheet."""
    if shop.device.type != "cuda":
        count = 2
    network = encoder_of(base)
    for frames in (33, 81):
        batch = studio.draw(count, frames)
        raw = wanted_statistics().denormalise(sampled(models, batch)).to(network.conv1.weight.dtype)
        videos = pixels(torch.cat([decode(network, part).float() for part in raw.split(4)]))
        drawn = wanted_statistics().denormalise(batch.latents.float()).to(network.conv1.weight.dtype)
        truth = pixels(torch.cat([decode(network, part).float() for part in drawn.split(4)]))
        made, wanted = ([mouth_areas(v)[1:] for v in many] for many in (videos, truth))
        own = float(np.mean([correlation(a, b) for a, b in zip(made, wanted, strict=True)]))
        others = float(
            np.mean([correlation(a, b) for a, b in zip(made, wanted[1:] + wanted[:1], strict=True)])
        )
        shop.say(f"face: {frames} frames, mouths follow by {own:.3f}, other sounds by {others:.3f}")
        write_sheet(videos[:12], shop.folder / f"faces_{frames}.png", columns=1, shown=12)
