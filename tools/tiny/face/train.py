"""Trains the talking face that wancore ships, from nothing but the VAE and text encoder of tools.tiny.train.

    python -m tools.tiny.face.train --base build/tiny --out build/face
    python -m tools.tiny.face.export build/face plugins/infinitetalk/wancore_infinitetalk/model

About 5 minutes on one H100. `--shrink 50` rehearses on a CPU.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from tools.tiny.face.clips import Batch, Studio, draw_sounds
from tools.tiny.face.forward import face_velocity
from tools.tiny.face.hearing import fresh_hearing, train_hearing
from tools.tiny.face.look import score
from tools.tiny.face.sizes import fresh_adapter, fresh_image_encoder, fresh_transformer
from tools.tiny.learn.batched import Text
from tools.tiny.learn.flow import TrainingStep, draw_levels, encode_ids, float8_names
from tools.tiny.learn.master import Master, held_rate_at
from tools.tiny.learn.stages import (
    Workshop,
    encoder_of,
    load_models,
    wanted_statistics,
    write,
)
from wancore.encoders.image import ImageEncoder, load_image_encoder

HEARING_SECONDS, FACE_SECONDS = 50.0, 230.0
HEARING_FILE, IMAGE_FILE, FACE_FILE = "hearing.safetensors", "image.safetensors", "face.safetensors"
RATE, AVERAGE, SHIFT = 1.2e-3, 0.998, 3.0
NO_SOUND = 0.12
SOUNDS = 640
TEXTS = (
    "", "a person talks", "a talking face", "someone speaks to the camera", "a person is talking",
    "a face that talks", "a woman is speaking", "a man is speaking", "a person sings", "talking head",
)  # fmt: skip
#: (pixel frames, clips in a batch, clips kept, share of the steps)
SETS = ((33, 40, 3200, 0.65), (81, 16, 640, 0.35))


@dataclass(frozen=True)
class FaceModels:
    transformer: Any
    adapter: Any
    text: Tensor  # states of TEXTS [n, L, width]
    mask: Tensor  # [n, L]


@torch.no_grad()
def face_models(base: Workshop) -> FaceModels:
    flow = load_models(base)
    ids = flow.captions(TEXTS)[0].to(base.device)
    rows = encode_ids(flow, ids).rows[:, :-1]
    transformer = fresh_transformer().to(base.device, torch.bfloat16)
    return FaceModels(transformer, fresh_adapter().to(base.device, torch.bfloat16), rows, ids != 0)


def face_loss(models: FaceModels, batch: Batch) -> Tensor:
    """Mean squared error of the velocity on frames that are not known, more of it at mouths."""
    count, device = len(batch.latents), batch.latents.device
    level = draw_levels(count, torch.full((), SHIFT, device=device))
    clean = batch.latents.float()
    noise = torch.randn_like(clean)
    mix = level[:, None, None, None, None] * ~batch.known[:, None, :, None, None]
    noisy = clean * (1 - mix) + noise * mix
    silent = torch.rand(count, device=device) < NO_SOUND
    heard = batch.heard * ~silent[:, None, None, None, None]
    at = (torch.rand(count, device=device) * len(TEXTS)).long()
    text = Text.of(models.text[at], models.mask[at], models.transformer.config.text_len)
    channels = torch.cat((noisy.to(batch.still.dtype), batch.still), dim=1)
    found = face_velocity(
        models.transformer, models.adapter, channels, level * 1000, text, batch.image, heard
    )
    error = (found - (noise - clean)).square().mean(dim=1)
    weights = batch.weights.float()
    return (error * weights).sum() / weights.sum()


def train_face(shop: Workshop, models: FaceModels, studio: Studio, seconds: float, shrink: int) -> Master:
    rounded = float8_names(models.transformer)
    named = list(models.transformer.named_parameters()) + list(models.adapter.named_parameters())
    matrices = [n for n, p in named if p.ndim == 2 and n.startswith("blocks.")]
    master = Master([models.transformer, models.adapter], RATE, AVERAGE, rounded, matrices)
    pool = torch.cuda.graph_pool_handle() if shop.device.type == "cuda" else None
    rng, began = np.random.default_rng(1), time.monotonic()
    steps = [
        TrainingStep(loss_on(models, kept, count), master, pool) for kept, count in stocks(studio, shrink)
    ]
    shop.say(f"face: clips drawn and steps recorded in {time.monotonic() - began:.0f} s")
    began, told, done, smooth = time.monotonic(), time.monotonic(), 0, 1.0
    shares = np.array([share for *_, share in SETS])
    while (point := (time.monotonic() - began) / seconds) < 1:
        master.set_rate(held_rate_at(point, done))
        master.set_rounding(float(point >= 0.6))
        loss = steps[int(rng.choice(len(steps), p=shares))]()
        done += 1
        if done % 20 == 0:
            smooth = smooth * 0.9 + float(loss) * 0.1
            if time.monotonic() - told > 20:
                told = time.monotonic()
                shop.say(f"face {told - began:5.0f} s, step {done}: loss {smooth:.4f}")
                keep(shop, models, master)
    shop.say(f"face: {done} steps")
    return master


def stocks(studio: Studio, shrink: int) -> list[tuple[Batch, int]]:
    """Clips of each length, and how many of them make a batch."""
    found = []
    for frames, count, kept, _ in SETS:
        parts = [studio.draw(16 if shrink == 1 else 2, frames) for _ in range(max(kept // 16 // shrink, 1))]
        whole = Batch(
            *(torch.cat(tensors) for tensors in zip(*(vars(p).values() for p in parts), strict=True))
        )
        found.append((whole, max(count // shrink, 1)))
    return found


def loss_on(models: FaceModels, kept: Batch, count: int) -> Any:
    def loss() -> Tensor:
        at = (torch.rand(count, device=kept.known.device) * len(kept.known)).long()
        return face_loss(models, kept.rows(at))

    return loss


def keep(shop: Workshop, models: FaceModels, master: Master) -> None:
    """Writes the averaged weights in half precision."""
    names = [n for n, _ in models.transformer.named_parameters()]
    names += [n for n, _ in models.adapter.named_parameters()]
    write(dict(zip(names, master.state()["average"], strict=True)), shop.folder / FACE_FILE)


def make_hearing(shop: Workshop, seconds: float, shrink: int) -> Any:
    file = shop.folder / HEARING_FILE
    if not file.exists():
        trained = train_hearing(seconds, shop.device, shop.say, shrink)
        write({n: t.half().cpu().contiguous() for n, t in trained.state_dict().items()}, file)
    network = fresh_hearing()
    network.load_state_dict({n: t.float() for n, t in load_file(file).items()})
    return network.to(shop.device).eval()


def make_image_encoder(shop: Workshop) -> ImageEncoder:
    file = shop.folder / IMAGE_FILE
    write({n: t.half().contiguous() for n, t in fresh_image_encoder().state_dict().items()}, file)
    return load_image_encoder(file, device=shop.device)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True, help="folder that tools.tiny.train wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hearing-seconds", type=float, default=HEARING_SECONDS)
    parser.add_argument("--face-seconds", type=float, default=FACE_SECONDS)
    parser.add_argument("--shrink", type=int, default=1, help="divides batches, to rehearse on a CPU")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    base = Workshop(args.base, device, lambda line: print(line, flush=True))
    shop = Workshop(args.out, device, base.say)
    hearing = make_hearing(shop, args.hearing_seconds, args.shrink)
    sounds = draw_sounds(hearing, max(SOUNDS // args.shrink, 4), np.random.default_rng(2), device)
    studio = Studio(
        encoder_of(base), wanted_statistics().normalise, make_image_encoder(shop), sounds, device, 3
    )
    models = face_models(base)
    master = train_face(shop, models, studio, args.face_seconds, args.shrink)
    keep(shop, models, master)
    master.use_average()
    score(shop, base, models, studio)


if __name__ == "__main__":
    main()
