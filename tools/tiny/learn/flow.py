"""Training of the transformer by flow matching (arXiv:2210.02747); the text encoder stays as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tools.tiny.learn.batched import BlockForward, Text, block_forward, velocity
from tools.tiny.learn.encoded import text_states
from tools.tiny.learn.latents import ClipSize, Fresh, Store
from tools.tiny.learn.master import Master, held_rate_at
from tools.tiny.learn.sizes import fresh_text_encoder, fresh_transformer
from tools.tiny.learn.words import PAD, Captions
from wancore.transformer.model import WanTransformer

RATE = 1.2e-3
TOKENS = 64 * 576  # per batch
NO_TEXT = 0.1
CLEAN_FIRST = 0.25  # share of samples whose first frame is given, at timestep 0
#: Noise levels are shifted this far, at the start and at the end of the training. What a prompt decides, a
#: colour or a side, noise hides only above levels of 0.9 to 0.95: everywhere in a clip it is the same.
SHIFTS = (10.0, 4.0)
AVERAGE = 0.999
OTHERS_FROM, ROUNDED_FROM = 0.5, 0.6  # points of the schedule


@dataclass(frozen=True)
class FlowModels:
    transformer: WanTransformer
    text: nn.Module
    captions: Captions


@dataclass(frozen=True)
class Effort:
    """How much of the training: `seconds`, from one point of its schedule (0..1) to its end.

    `shrink` divides batches and stores. `capacity`: clips kept of the main size; `fresh`: new ones after
    `every` steps. `record`: replay recorded steps, where there is a GPU; `compiled`: of compiled blocks.
    """

    seconds: float
    start: float = 0.0
    shrink: int = 1
    capacity: int = 24_576
    fresh: int = 8
    every: int = 12
    record: bool = True
    compiled: bool = True


def encode_text(models: FlowModels, texts: Sequence[str], device: torch.device) -> Text:
    return encode_ids(models, models.captions(texts)[0].to(device))


@torch.no_grad()
def encode_ids(models: FlowModels, ids: Tensor) -> Text:
    """ids [B, L] -> what text attention reads."""
    mask = ids != PAD
    return Text.of(text_states(models.text, ids, mask), mask, models.transformer.config.text_len)


def draw_levels(count: int, shift: Tensor) -> Tensor:
    """Noise levels [B], half of them logit-normal, half uniform, all shifted towards noise."""
    device = shift.device
    normal = torch.sigmoid(torch.randn(count, device=device))
    even = (torch.arange(count, device=device) + torch.rand(1, device=device)) / count
    u = torch.where(torch.rand(count, device=device) < 0.5, normal, even)
    return shift * u / (1 + (shift - 1) * u)


def flow_loss(
    models: FlowModels, clean: Tensor, ids: Tensor, shift: Tensor, run: BlockForward | None = None
) -> Tensor:
    """Mean squared error of the velocity, noise - clean, on frames that are not given."""
    device = clean.device
    count, _, frames = clean.shape[:3]
    level = draw_levels(count, shift)
    levels = level[:, None].expand(count, frames).clone()
    given = torch.zeros_like(levels, dtype=torch.bool)
    given[:, 0] = torch.rand(count, device=device) < CLEAN_FIRST
    levels = levels.masked_fill(given, 0.0)
    noise = torch.randn_like(clean)
    mix = levels[:, None, :, None, None]
    noisy = clean * (1 - mix) + noise * mix
    predicted = velocity(models.transformer, noisy, levels * 1000, encode_ids(models, ids), run)
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
    text = fresh_text_encoder(captions.size).to(device, torch.bfloat16).eval().requires_grad_(False)
    return FlowModels(fresh_transformer().to(device, torch.bfloat16), text, captions)


def make_master(models: FlowModels) -> Master:
    matrices = [
        n for n, p in models.transformer.named_parameters() if p.ndim == 2 and n.startswith("blocks.")
    ]
    return Master([models.transformer], RATE, AVERAGE, float8_names(models.transformer), matrices)


def batch_count(size: ClipSize, effort: Effort) -> int:
    return max(TOKENS // size.tokens // 8 * 8 // effort.shrink, 2)


class TrainingStep:
    """One step: `loss` draws a batch and gives its loss [], then the update; with a `pool` recorded once,
    all of it, and replayed.

    The recordings share the pool's memory, since only one of them runs at a time.
    """

    def __init__(self, loss: Callable[[], Tensor], master: Master, pool: Any) -> None:
        self.loss_of, self.master, self.pool = loss, master, pool
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
        torch.cuda.synchronize()
        self.master.forget_gradients()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            self.run()
        self.graph = graph

    def run(self) -> None:
        self.master.forget_gradients()
        loss = self.loss_of()
        loss.backward()
        self.loss = loss.detach()
        self.master.step()

    def __call__(self) -> Tensor:
        """The loss [] before the update; overwritten by the next call."""
        if self.graph is None:
            self.run()
        else:
            self.graph.replay()
        return self.loss


class Renewal:
    """Fresh clips for the stores, drawn and encoded beside the training: their many small steps wait for
    each other, and would have the training wait too."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.count = count
        self.thread = ThreadPoolExecutor(1)
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        self.coming: tuple[Store, Future[Fresh]] | None = None

    def __call__(self, store: Store) -> None:
        """Hands over what is ready, and then begins with clips for `store`; waits for nothing."""
        if self.coming is not None:
            if not self.coming[1].done():
                return
            self.finish()
        self.coming = store, self.thread.submit(self.prepare, store)

    def finish(self) -> None:
        """Waits for what has begun and hands it over."""
        if self.coming is not None:
            store, fresh = self.coming
            store.accept(fresh.result())
            self.coming = None

    def prepare(self, store: Store) -> Fresh:
        if self.stream is None:
            return store.prepare(self.count)
        with torch.cuda.stream(self.stream):
            fresh = store.prepare(self.count)
            self.stream.synchronize()
        for tensor in (fresh.latents, fresh.ids):
            tensor.record_stream(torch.cuda.default_stream())  # where the training copies them
        return fresh


class FlowTraining:
    """The training's loop; `make_store` gives a filled store of clips of a size."""

    def __init__(
        self,
        models: FlowModels,
        master: Master,
        make_store: Callable[[ClipSize], Store],
        effort: Effort,
        device: torch.device,
        say: Callable[[str], None],
    ) -> None:
        self.models, self.master, self.make_store, self.effort = models, master, make_store, effort
        self.device, self.say = device, say
        self.shift = torch.full((), SHIFTS[0], device=device)
        recorded = effort.record and device.type == "cuda"
        self.pool = torch.cuda.graph_pool_handle() if recorded else None
        self.steps: list[tuple[Store, TrainingStep]] = []

    def add(self, size: ClipSize, run_block: BlockForward | None = None) -> None:
        """Takes up clips of a size; where compiled blocks fail, plain ones do."""
        store = self.make_store(size)
        began = time.monotonic()
        try:
            step = TrainingStep(self.loss_from(store, run_block), self.master, self.pool)
        except Exception as error:  # whatever a compiler may raise: the training must go on
            if run_block is None:
                raise
            self.say(f"flow: compiled blocks failed, going on with plain ones: {str(error)[:2000]}")
            step = TrainingStep(self.loss_from(store, None), self.master, self.pool)
        self.steps.append((store, step))
        self.say(f"flow: {size} recorded in {time.monotonic() - began:.0f} s, {len(store.latents)} places")

    def loss_from(self, store: Store, run_block: BlockForward | None) -> Callable[[], Tensor]:
        count = batch_count(store.size, self.effort)

        def loss() -> Tensor:
            return flow_loss(self.models, *store.draw(count, NO_TEXT), self.shift, run_block)

        return loss

    def train(
        self,
        main: ClipSize,
        others: Sequence[ClipSize],
        look: Callable[[float], None],
        seed: int = 1,
    ) -> None:
        """Trains for `effort.seconds`; calls `look` with the point of the schedule about every 150 s."""
        rng, effort = np.random.default_rng(seed), self.effort
        renewal = Renewal(effort.fresh, self.device)
        began = time.monotonic()
        compiled = self.effort.compiled and self.device.type == "cuda"
        # Compiling takes half a minute for a size, which only the most frequent one earns.
        self.add(main, compiled_block() if compiled else None)
        smooth = torch.ones((), device=self.device)
        done, looked, told, done_then = 0, began, began, 0
        while (share := (time.monotonic() - began) / effort.seconds) < 1:
            point = effort.start + (1 - effort.start) * share
            if point >= OTHERS_FROM and len(self.steps) == 1:
                renewal.finish()
                for size in others:
                    self.add(size)
            self.set_point(point, done)
            shares = np.array([store.size.share for store, _ in self.steps])
            store, step = self.steps[int(rng.choice(len(shares), p=shares / shares.sum()))]
            if done % effort.every == 0:
                renewal(store)
            smooth.lerp_(step(), 0.01 if done > 100 else 0.2)
            done += 1
            if done % 50 == 0 and (now := time.monotonic()) - told > 20:
                loss, rate = float(smooth), (done - done_then) / (time.monotonic() - told)
                self.say(
                    f"flow {now - began:5.0f} s, at {point:.3f}, step {done}: loss {loss:.4f}, "
                    f"{rate:.1f} steps/s, {sum(s.renewed for s, _ in self.steps)} clips drawn"
                )
                told, done_then = now, done
                if now - looked > 150:
                    looked = now
                    look(point)
            elif done % 50 == 0 and self.device.type == "cuda":
                torch.cuda.synchronize()  # else the clock runs ahead of the work
        renewal.finish()
        self.say(f"flow: {done} steps")

    def set_point(self, point: float, done: int) -> None:
        self.master.set_rate(held_rate_at(point, done))
        self.master.set_rounding(float(point >= ROUNDED_FROM))
        self.shift.fill_(SHIFTS[0] * (SHIFTS[1] / SHIFTS[0]) ** point)


def compiled_block() -> BlockForward:
    run: BlockForward = torch.compile(block_forward, fullgraph=True, dynamic=False)
    return run
