"""Training of the transformer and the text encoder together, by flow matching (arXiv:2210.02747)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tools.tiny.learn.batched import Text, velocity
from tools.tiny.learn.encoded import text_states
from tools.tiny.learn.latents import SIZES, ClipSize, Store
from tools.tiny.learn.master import Master, rate_at
from tools.tiny.learn.sizes import fresh_text_encoder, fresh_transformer
from tools.tiny.learn.words import Captions
from wancore.transformer.model import WanTransformer
from wancore.vae.network import VaeNetwork

RATE = 1.2e-3
TOKENS = 64 * 576  # per batch
NO_TEXT = 0.12
CLEAN_FIRST = 0.35  # share of samples whose first frame is given, at timestep 0
SHIFT = 2.0
AVERAGE = 0.999


@dataclass(frozen=True)
class FlowModels:
    transformer: WanTransformer
    text: nn.Module
    captions: Captions


@dataclass(frozen=True)
class Effort:
    """How much of the training: `seconds`, from one point of its schedule (0..1) to another.

    `shrink` divides batches and stores. `capacity`: clips kept in all stores; `fresh`: new ones after
    `every` steps.
    `record`: replay recorded steps, where there is a GPU.
    """

    seconds: float
    start: float = 0.0
    end: float = 1.0
    shrink: int = 1
    capacity: int = 4096
    fresh: int = 8
    every: int = 16
    record: bool = True


def encode_text(models: FlowModels, texts: Sequence[str], device: torch.device) -> Text:
    return encode_ids(models, *(t.to(device) for t in models.captions(texts)))


def encode_ids(models: FlowModels, ids: Tensor, mask: Tensor) -> Text:
    """ids, mask [B, L] -> what text attention reads."""
    return Text.of(text_states(models.text, ids, mask), mask, models.transformer.config.text_len)


def draw_levels(count: int, device: torch.device) -> Tensor:
    """Noise levels [B], half of them logit-normal, half uniform, all shifted towards noise."""
    normal = torch.sigmoid(torch.randn(count, device=device))
    even = (torch.arange(count, device=device) + torch.rand(1, device=device)) / count
    u = torch.where(torch.rand(count, device=device) < 0.5, normal, even)
    return SHIFT * u / (1 + (SHIFT - 1) * u)


def flow_loss(models: FlowModels, clean: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of the velocity, noise - clean, on frames that are not given."""
    device = clean.device
    count, _, frames = clean.shape[:3]
    level = draw_levels(count, device)
    levels = level[:, None].expand(count, frames).clone()
    given = torch.zeros_like(levels, dtype=torch.bool)
    given[:, 0] = torch.rand(count, device=device) < CLEAN_FIRST
    levels = levels.masked_fill(given, 0.0)
    noise = torch.randn_like(clean)
    mix = levels[:, None, :, None, None]
    noisy = clean * (1 - mix) + noise * mix
    text = encode_ids(models, ids, mask)
    predicted = velocity(models.transformer, noisy, levels * 1000, text)
    error = (predicted - (noise - clean)).square().mean(dim=(1, 3, 4))  # [B, F]
    return (error * ~given).sum() / (~given).sum()


def float8_names(model: WanTransformer) -> list[str]:
    """The weights that are shipped as float8: matrices of the blocks, and the time projection."""
    return [
        name
        for name, p in model.named_parameters()
        if p.ndim == 2 and name.endswith(".weight") and name.startswith(("blocks.", "time_projection."))
    ]


def make_models(tokenizer: str, device: torch.device) -> FlowModels:
    captions = Captions(tokenizer)
    text = fresh_text_encoder(captions.size).to(device, torch.bfloat16).train()
    return FlowModels(fresh_transformer().to(device, torch.bfloat16), text, captions)


def make_stores(
    network: VaeNetwork,
    normalise: Callable[[Tensor], Tensor],
    device: torch.device,
    effort: Effort,
    seed: int,
) -> list[Store]:
    stores = []
    for i, size in enumerate(SIZES):
        capacity = max(int(effort.capacity * size.share * 2) // effort.shrink, 16)
        store = Store(size, capacity, network, normalise, device, seed * 100 + i)
        while len(store.texts) < capacity // 4:
            store.renew(min(16, capacity // 4))
        stores.append(store)
    return stores


def make_master(models: FlowModels) -> Master:
    matrices = [
        n for n, p in models.transformer.named_parameters() if p.ndim == 2 and n.startswith("blocks.")
    ]
    return Master(
        [models.transformer, models.text], RATE, AVERAGE, float8_names(models.transformer), matrices
    )


def batch_count(size: ClipSize, effort: Effort) -> int:
    return max(TOKENS // size.tokens // 8 * 8 // effort.shrink, 2)


class TrainingStep:
    """One step on batches of one shape; with a `pool` recorded once, update and all, and replayed.

    The recordings share the pool's memory, since only one of them runs at a time.
    """

    def __init__(self, models: FlowModels, master: Master, batch: Batch, pool: Any) -> None:
        self.models, self.master, self.pool = models, master, pool
        self.batch = Batch(*(t.clone() for t in batch.tensors))
        self.graph: torch.cuda.CUDAGraph | None = None
        if pool is not None:
            self.record()

    def record(self) -> None:
        """Steps with a learning rate of 0 first, which lets every library settle on its ways."""
        self.master.set_rate(0.0)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.run()
        torch.cuda.current_stream().wait_stream(side)
        self.master.forget_gradients()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            self.run()
        self.graph = graph

    def run(self) -> None:
        self.master.forget_gradients()
        loss = flow_loss(self.models, *self.batch.tensors)
        loss.backward()
        self.loss = loss.detach()
        self.master.step()

    def __call__(self, batch: Batch) -> Tensor:
        """The loss [] of this batch before the update; overwritten by the next call."""
        for own, given in zip(self.batch.tensors, batch.tensors, strict=True):
            own.copy_(given)
        if self.graph is None:
            self.run()
        else:
            self.graph.replay()
        return self.loss


@dataclass(frozen=True)
class Batch:
    """Latents [B, C, F, h, w] and captions as ids and mask [B, L]."""

    clean: Tensor
    ids: Tensor
    mask: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.clean, self.ids, self.mask


def train_flow(
    models: FlowModels,
    master: Master,
    stores: Sequence[Store],
    effort: Effort,
    device: torch.device,
    say: Callable[[str], None] = print,
    seed: int = 1,
) -> None:
    """Trains for `effort.seconds`."""
    rng = np.random.default_rng(seed)
    shares = np.array([store.size.share for store in stores])

    drawn = count()

    def draw(i: int) -> Batch:
        store = stores[i]
        if next(drawn) % effort.every == 0:
            store.renew(effort.fresh)
        clean, texts = store.draw(batch_count(store.size, effort), NO_TEXT)
        ids, mask = models.captions(texts)
        return Batch(clean, ids.to(device), mask.to(device))

    pool = torch.cuda.graph_pool_handle() if effort.record and device.type == "cuda" else None
    steps = [TrainingStep(models, master, draw(i), pool) for i in range(len(stores))]
    began, done, smooth = time.monotonic(), 0, torch.ones((), device=device)
    with ThreadPoolExecutor(1) as order:
        chosen = int(rng.choice(len(stores), p=shares / shares.sum()))
        coming = order.submit(draw, chosen)
        while (share := (time.monotonic() - began) / effort.seconds) < 1:
            batch, now = coming.result(), chosen
            chosen = int(rng.choice(len(stores), p=shares / shares.sum()))
            coming = order.submit(draw, chosen)
            master.set_rate(rate_at(effort.start + (effort.end - effort.start) * share, done, warm=300))
            smooth = smooth.lerp(steps[now](batch), 0.01)
            if done % 500 == 0:
                say(f"flow {time.monotonic() - began:5.0f} s, step {done}: loss {float(smooth):.4f}")
            done += 1
    say(f"flow: {done} steps")
