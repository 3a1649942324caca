"""The decoder once more, on latents that are settled: so that it can show faces as well as shapes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tools.tiny.face.raster import render
from tools.tiny.face.scene import draw_face
from tools.tiny.face.sound import draw_openings
from tools.tiny.learn.autoencoder import CANVAS, Pass, decode, draw_clips, encode, pixel_loss, quick_norms
from tools.tiny.learn.master import Master
from tools.tiny.learn.timed import train
from wancore.vae.load import channels_last
from wancore.vae.network import VaeNetwork

RATE = 1e-3
FRAMES, SHAPES, FACES = 13, 3, 3  # of a clip; clips of a batch


def draw_mixture(rng: np.random.Generator, shapes: int, faces: int, device: torch.device) -> Tensor:
    """Clips of the corpus and of talking faces [B, 3, FRAMES, CANVAS, CANVAS]."""
    openings = torch.from_numpy(np.stack([draw_openings(rng, FRAMES) for _ in range(faces)]))
    talking = render([draw_face(rng, FRAMES) for _ in range(faces)], openings, CANVAS, device)
    return torch.cat((draw_clips(rng, shapes, FRAMES, device, wild=0.03), talking))


def decoder_loss(network: VaeNetwork, video: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mean = encode(network, video.to(network.conv1.weight.dtype))[0]
    error = decode(network, mean).float() - video
    return pixel_loss(error), error.square().mean()


def train_decoder(
    start: VaeNetwork,
    seconds: float,
    device: torch.device,
    say: Callable[[str], None] = print,
    shrink: int = 1,
    seed: int = 4,
) -> VaeNetwork:
    """`start`, float32, with a decoder that was trained for `seconds` more."""
    rng = np.random.default_rng(seed)
    start_weights = {name: t.clone() for name, t in start.state_dict().items()}
    network = start.to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    network.requires_grad_(False)
    taught = [network.decoder.requires_grad_(True), network.conv2.requires_grad_(True)]
    quick_norms(network)
    if device.type == "cuda":
        channels_last(network)
    master = Master(taught, RATE, 0.998)
    counts = max(SHAPES // shrink, 1), max(FACES // shrink, 1)
    began = time.monotonic()
    one_pass = Pass(partial(decoder_loss, network), master, draw_mixture(rng, *counts, device))

    def batch(progress: float) -> tuple[Tensor, str]:
        return one_pass(master, draw_mixture(rng, *counts, device)), ""

    train("decoder", seconds, began, master, batch, say, smooth=0.004)
    result = VaeNetwork(network.architecture).to(device)
    result.load_state_dict({name: t.float() for name, t in start_weights.items()})
    with torch.no_grad():
        finished = [*result.decoder.parameters(), *result.conv2.parameters()]
        for own, trained in zip(finished, master.average, strict=True):
            own.copy_(trained)
    return result
