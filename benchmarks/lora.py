"""What LoRAs cost: merged, beside the linears, streamed, and changed; diffusers and peft in the same run.

    python -m benchmarks.lora                     on a GPU, at the shape of Wan 2.1 T2V-14B
    python -m benchmarks.lora --tiny --cpu        a dry run: the path, no figures

Rank 64 on all ten linears of each block. A few blocks stand for 40, since every block costs the same; what is
outside them, in every row once, makes shares of the whole look smaller by its part. Weights are random.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.gpu import busy
from benchmarks.gpu import describe as state
from wancore.checkpoints.open import open_view
from wancore.kernels.attention import Attention, sdpa
from wancore.lora.applied import Lora
from wancore.lora.choose import Mode
from wancore.lora.held import Shelf
from wancore.lora.originals import Originals, Place
from wancore.lora.runtime import LoraOptions, Target, apply_loras
from wancore.lora.spec import LoraSpec
from wancore.transformer.canvas import Canvas
from wancore.transformer.config import TransformerConfig
from wancore.transformer.fp8 import join_linears, use_fp8
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

    def generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed)

    def noise(self, *shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
        made = torch.randn(*shape, generator=self.generator(seed), device=self.device, dtype=self.dtype)
        return made * scale


@dataclass
class Timer:
    """Milliseconds of a call, the median of `rounds` after two that warm up."""

    setup: Setup

    def __call__(self, call: Callable[[], Any]) -> float:
        for _ in range(2):
            call()
        times = []
        for _ in range(self.setup.rounds):
            with self.once() as took:
                call()
            times.append(took[0])
        return statistics.median(times)

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
    """Rows as they are measured, printed at once."""

    rows: list[tuple[str, float]] = field(default_factory=list)

    def add(self, name: str, milliseconds: float, against: float | None = None, note: str = "") -> float:
        share = f" | {100 * (milliseconds / against - 1):+6.2f} %" if against else " |         "
        print(f"| {name:44} | {milliseconds:9.3f}{share} | {note} |", flush=True)
        self.rows.append((name, milliseconds))
        return milliseconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="small sizes")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    device = torch.device("cpu" if given.cpu else "cuda")
    dim, ffn, heads = (256, 512, 2) if given.tiny else (5120, 13824, 40)
    config = TransformerConfig(dim, ffn, heads, given.blocks, 16, 16)
    canvas = (3, 4, 4) if given.tiny else (21, 32, 32)
    setup = Setup(config, canvas, device, given.rank, given.rounds)
    if device.type == "cuda":
        busy()
        print(state())
    describe(setup)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        run(setup, Path(folder))


def describe(setup: Setup) -> None:
    name = torch.cuda.get_device_name() if setup.device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}; {setup.config}; {setup.tokens} tokens, rank {setup.rank}")
    columns = setup.rank * setup.blocks
    dim, ffn, tokens = setup.config.dim, setup.config.ffn_dim, setup.tokens
    ins, outs = 6 * dim + dim + ffn, 6 * dim + ffn + dim  # of what every token passes: q k v o q o, ffn
    read_once = dim + dim + dim + dim + dim + ffn  # q, k and v share their input
    moved = 2 * setup.blocks * tokens * (read_once + 2 * outs)
    flops = 2 * tokens * columns * (ins + outs)
    print(f"low-rank branch: {flops / 1e9:.0f} GFLOP and at least {moved / 1e9:.2f} GB moved a forward")
    print("| what | ms | against its base | |\n|---|---|---|---|")


def run(setup: Setup, folder: Path) -> None:
    files = [write_lora(setup, folder / f"{i}.safetensors", seed=i) for i in range(2)]
    table, timer = Table(), Timer(setup)
    base = model(setup)
    source = folder / "base.safetensors"
    save_file({name: p.detach().cpu() for name, p in base.named_parameters()}, str(source))
    forwards(setup, base, "bf16", files, table, timer)
    change(setup, Target(base, originals=Originals("device")), files, "device", table)
    peer(setup, files[0], table, timer)
    places: tuple[Place, ...] = ("host", "file")
    for place in places:
        target = Target(base, originals=Originals(place, source=open_view(source)))
        change(setup, target, files, place, table)
    use_fp8(base, setup.device)
    join_linears(base)
    forwards(setup, base, "fp8 rows", files, table, timer)
    for place in ("device", *places):
        target = Target(base, originals=Originals(place, master=open_view(source)))
        change(setup, target, files, f"{place}, from the bf16 master", table)


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


def forwards(
    setup: Setup, base: WanTransformer, name: str, files: list[Path], table: Table, timer: Timer
) -> None:
    plain = table.add(f"{name}, no LoRA", timer(forward(setup, base)))
    modes: tuple[Mode, ...] = ("merged", "on-the-fly", "streaming")
    for mode in modes[: 3 if name == "bf16" else 2]:
        with apply_loras(base, [lora(files[0])], LoraOptions(mode)) as applied:
            note = applied.describe().splitlines()[-1].removeprefix("LoRA: ")
            table.add(f"{name}, {mode}", timer(forward(setup, base)), plain, note)
    with apply_loras(base, [lora(file) for file in files], LoraOptions("on-the-fly")):
        table.add(f"{name}, on-the-fly, two LoRAs", timer(forward(setup, base)), plain)
    table.add(f"{name}, no LoRA, again", timer(forward(setup, base)), plain)


def lora(path: Path) -> Lora:
    return Lora(LoraSpec(name=path.name), path)


def change(setup: Setup, target: Target, files: list[Path], what: str, table: Table) -> None:
    """From one merged LoRA to the other, their files in (pinned) memory; the second change and the third."""
    shelf, timer = Shelf(pinned=setup.device.type == "cuda"), Timer(setup)
    for file in files:
        shelf.hold(file)
    held = [Lora(LoraSpec(name=f.name), f, shelf.get(f)) for f in files]
    options = LoraOptions("merged")
    applied = apply_loras(target, [held[0]], options)
    times = []
    for i in (1, 0, 1):
        with timer.once() as took:
            applied.restore()
            applied = apply_loras(target, [held[i]], options)
        times.append(took[0])
    with timer.once() as stronger:
        applied.set_strengths([0.5])
    applied.restore()
    many = BLOCKS_OF_14B / setup.blocks
    all_blocks = f"{min(times) * many:.0f} ms, a new strength {stronger[0] * many:.0f} ms, for 40 blocks"
    table.add(f"change of LoRA, originals: {what}", min(times), note=all_blocks)


def peer(setup: Setup, file: Path, table: Table, timer: Timer) -> None:
    """diffusers' transformer with peft."""
    try:
        import diffusers
        import peft
    except ImportError as error:
        print(f"no peer: {error}")
        return
    c = setup.config
    with torch.device(setup.device):
        made = diffusers.WanTransformer3DModel(
            num_attention_heads=c.num_heads, attention_head_dim=c.head_dim, in_channels=16, out_channels=16,
            text_dim=c.text_dim, freq_dim=c.freq_dim, ffn_dim=c.ffn_dim, num_layers=c.num_layers,
        )  # fmt: skip
    made = made.to(setup.dtype).requires_grad_(False).eval()
    fill(made, setup)
    frames, rows, columns = setup.canvas
    latents = setup.noise(1, 16, frames, 2 * rows, 2 * columns, seed=2)
    text, t = setup.noise(1, 512, c.text_dim, seed=1), torch.tensor([700.0], device=setup.device)

    def call() -> Any:
        return made(latents, t, text, return_dict=False)[0]

    name = f"diffusers {diffusers.__version__}"
    plain = table.add(f"{name}, no LoRA", timer(call))
    with timer.once() as loading:
        made.load_lora_adapter(str(file), prefix="transformer")
    table.add(
        f"{name} + peft {peft.__version__}, unfused", timer(call), plain, f"loaded in {loading[0]:.0f} ms"
    )
    with timer.once() as fusing:
        made.fuse_lora()
    table.add(f"{name} + peft, fused", timer(call), plain, f"fused in {fusing[0]:.0f} ms")
    with timer.once() as unfusing:
        made.unfuse_lora()
    table.add(f"{name} + peft, change of LoRA (fused)", fusing[0] + unfusing[0] + loading[0])


if __name__ == "__main__":
    main()
