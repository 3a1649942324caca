"""The setting of the LoRA benchmarks: the model's shape, files of adapters, and timing in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from wancore.kernels.attention import Attention, sdpa
from wancore.lora.applied import Lora
from wancore.lora.spec import LoraSpec
from wancore.transformer.canvas import Canvas
from wancore.transformer.config import TransformerConfig
from wancore.transformer.fp8 import join_linears
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict

BLOCKS_OF_14B = 40
LINEARS = {
    "attn1.to_q": "self_attn.q", "attn1.to_k": "self_attn.k", "attn1.to_v": "self_attn.v",
    "attn1.to_out.0": "self_attn.o", "attn2.to_q": "cross_attn.q", "attn2.to_k": "cross_attn.k",
    "attn2.to_v": "cross_attn.v", "attn2.to_out.0": "cross_attn.o",
    "ffn.net.0.proj": "ffn.0", "ffn.net.2": "ffn.2",
}  # fmt: skip


@dataclass(frozen=True)
class Setup:
    """What is measured, and on what. `canvas`: tokens by frame, row and column."""

    config: TransformerConfig
    canvas: tuple[int, int, int]
    device: torch.device
    rank: int
    rounds: int
    dtype: torch.dtype = torch.bfloat16

    @property
    def tokens(self) -> int:
        frames, rows, columns = self.canvas
        return frames * rows * columns

    @property
    def blocks(self) -> int:
        return self.config.num_layers

    def with_canvas(self, canvas: tuple[int, int, int]) -> Setup:
        return replace(self, canvas=canvas)

    def generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed)

    def noise(self, *shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
        made = torch.randn(*shape, generator=self.generator(seed), device=self.device, dtype=self.dtype)
        return made * scale


@dataclass
class Timer:
    """Milliseconds of calls; each warms up twice."""

    setup: Setup

    def in_turn(self, calls: Sequence[Callable[[], Any]]) -> list[list[float]]:
        """The times of each, `rounds` of them, measured one after the other in every round, forwards and
        backwards by turns: a device that grows warm then slows all of them down alike."""
        for call in calls:
            call()
            call()
        times: list[list[float]] = [[] for _ in calls]
        pairs = list(zip(calls, times, strict=True))
        for i in range(self.setup.rounds):
            for call, own in pairs[:: -1 if i % 2 else 1]:
                with self.once() as took:
                    call()
                own.append(took[0])
        return times

    @contextmanager
    def once(self) -> Iterator[list[float]]:
        took = [0.0]
        self.wait()
        started = time.perf_counter()
        yield took
        self.wait()
        took[0] = 1e3 * (time.perf_counter() - started)

    def wait(self) -> None:
        if self.setup.device.type == "cuda":
            torch.cuda.synchronize()


@dataclass
class Table:
    """Rows, printed as they are measured."""

    rows: list[str] = field(default_factory=list)

    def add(
        self, name: str, times: Sequence[float], against: Sequence[float] | None = None, note: str = ""
    ) -> None:
        """The median, and its share of the median of the base measured in turn with it."""
        share = base = ""
        if against is not None:
            share = f"{100 * (statistics.median(times) / statistics.median(against) - 1):+.2f} %"
            base = f"{statistics.median(against):.2f}"
        self.rows.append(f"| {name} | {statistics.median(times):.2f} | {base} | {share} | {note} |")
        print(self.rows[-1], flush=True)


def write_lora(setup: Setup, path: Path, seed: int) -> Path:
    """Pairs for every block linear under diffusers' names, which both sides read."""
    dim, ffn = setup.config.dim, setup.config.ffn_dim
    tensors = {}
    for i in range(setup.blocks):
        for j, name in enumerate(LINEARS):
            out = ffn if name == "ffn.net.0.proj" else dim
            columns = ffn if name == "ffn.net.2" else dim
            at, start = 100 * i + 2 * j + 10_000 * seed, f"transformer.blocks.{i}.{name}"
            down = setup.noise(setup.rank, columns, seed=at, scale=0.01)
            up = setup.noise(out, setup.rank, seed=at + 1, scale=0.01)
            tensors |= {f"{start}.lora_A.weight": down.cpu(), f"{start}.lora_B.weight": up.cpu()}
    save_file(tensors, str(path))
    return path


def model(setup: Setup) -> WanTransformer:
    """Ours, with random weights of a trained model's size."""
    attend = Attention() if setup.device.type == "cuda" else sdpa
    with torch.device(setup.device):
        made = WanTransformer(setup.config, attend).to(setup.dtype).requires_grad_(False).eval()
    fill(made, setup)
    join_linears(made)
    return made


def fill(made: nn.Module, setup: Setup) -> None:
    for i, parameter in enumerate(made.parameters()):
        if parameter.ndim > 1:
            parameter.copy_(setup.noise(*parameter.shape, seed=i, scale=0.02))


def forward(setup: Setup, made: WanTransformer) -> Callable[[], Tensor]:
    frames, rows, columns = setup.canvas
    layout = build_layout(Canvas(frames, rows, columns), made.frequencies, device=setup.device)
    text = EmbeddedText.of(made, setup.noise(512, setup.config.text_dim, seed=1))
    latents = setup.noise(16, frames, 2 * rows, 2 * columns, seed=2)
    inputs = Inputs(latents, torch.tensor([700.0], device=setup.device), layout, text)
    return lambda: predict(made, inputs)


def lora(path: Path) -> Lora:
    return Lora(LoraSpec(name=path.name), path)
