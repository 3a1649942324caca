"""Memory and time of a forward within a budget: `python -m benchmarks.memory`.

The 14B text-to-video shape with random weights, all 40 blocks, through the real transformer and residency.
Peaks are those of torch's allocator; the last column is what the driver says the process takes.
"""

from __future__ import annotations

import argparse
import gc
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.gpu import busy, describe, milliseconds
from benchmarks.rates import host_copy_rate
from wancore.engine.residency import House, Residency
from wancore.kernels.attention import Attention
from wancore.kernels.sources import KERNELS
from wancore.runtime.gpu import Gpu
from wancore.runtime.settings import Settings
from wancore.runtime.swap.flat import held_by
from wancore.runtime.switches import apply, set_allocator, switches
from wancore.transformer.activations import Work
from wancore.transformer.canvas import Canvas
from wancore.transformer.config import TransformerConfig
from wancore.transformer.fp8 import join_linears, use_fp8
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict

DEVICE = torch.device("cuda")
SIZES = TransformerConfig(
    dim=5120, ffn_dim=13824, num_heads=40, num_layers=40, in_dim=16, out_dim=16, text_dim=4096
)
CANVASES = {21_504: Canvas(21, 32, 32), 32_760: Canvas(21, 30, 52)}


@dataclass(frozen=True)
class Case:
    """`budget`: as a user gives it; None for everything on the GPU."""

    weights: str
    budget: str | None


CASES = (
    Case("bf16", None),
    Case("bf16", "10GB"),
    Case("fp8", None),
    Case("fp8", "18GB"),
)


def model_of(weights: str, layers: int) -> WanTransformer:
    """Random weights of a usual size, on the GPU."""
    with torch.device("meta"):
        config = TransformerConfig(**{**SIZES.__dict__, "num_layers": layers})
        model = WanTransformer(config, Attention())
    torch.manual_seed(0)
    for held in held_by([model]):
        tensor = torch.empty(held.tensor.shape, dtype=torch.bfloat16, device=DEVICE)
        values = tensor.normal_(std=0.02) if tensor.ndim > 1 else tensor.fill_(held.name == "weight")
        if held.name in held.module._parameters:
            held.module._parameters[held.name] = nn.Parameter(values, requires_grad=False)
        else:
            held.module._buffers[held.name] = values
    if weights == "fp8":
        use_fp8(model, DEVICE)
    join_linears(model)
    return model.eval()


def inputs_of(model: WanTransformer, rows: int) -> Inputs:
    canvas = CANVASES[rows]
    layout = build_layout(canvas, model.frequencies, device=DEVICE)
    text = EmbeddedText.of(model, torch.randn(512, 4096, device=DEVICE, dtype=torch.bfloat16))
    latents = torch.randn(16, canvas.total, 2 * canvas.height, 2 * canvas.width, device=DEVICE)
    return Inputs(latents, torch.tensor([700.0], device=DEVICE), layout, text)


def housed(model: WanTransformer, case: Case, rows: int) -> House:
    """The model within the budget, as the engine keeps it; it starts in host memory."""
    residency = Residency(DEVICE)
    residency.begin(Work(rows, 1, fused=KERNELS.serves(residency.device)))
    house = residency.adopt(Path("model"), model, {})
    if case.budget is not None:
        house.swap.park()
        residency.empty()
        residency.vram = case.budget
        residency.keep_to_budget()
    house.ready()
    return house


@torch.no_grad()
def measure(case: Case, rows: int, layers: int, repeats: int, base: float | None, notes: list[str]) -> float:
    """Prints a row; `notes` takes what the engine says of its plan."""
    house = housed(model_of(case.weights, layers), case, rows)
    inputs = inputs_of(house.model, rows)
    house.owner.empty()
    torch.cuda.reset_peak_memory_stats()
    time = milliseconds(lambda: house.run(rows, lambda: predict(house.model, inputs)), repeats, 1)
    peak, reserved = torch.cuda.max_memory_allocated() / 1e9, torch.cuda.max_memory_reserved() / 1e9
    free, total = torch.cuda.mem_get_info()
    plan = house.plan
    assert plan is not None
    ratio = f"{time / base:.3f}" if base else ""
    working = peak - (plan.device_bytes - plan.needs.working) / 1e9
    print(
        f"| {case.weights} | {case.budget or 'all'} | {plan.resident}/{layers} | {time:.0f} | {ratio} "
        f"| {peak:.2f} | {reserved:.2f} | {(total - free) / 1e9:.2f} "
        f"| {working:.2f} of {plan.needs.working / 1e9:.2f} | {house.swap.counts.waited} |"
    )
    notes.extend(f"{case.weights}, {case.budget or 'all'}: {note}" for note in house.owner.take_notes())
    return time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, choices=CANVASES, default=32_760)
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", default="", help="those whose weights are these, e.g. bf16")
    arguments = parser.parse_args()
    settings = Settings()
    set_allocator(settings)
    apply(switches(Gpu.at(0), settings))
    busy()
    print(describe())
    print(f"host to device from pinned memory: {host_copy_rate() / 1e9:.1f} GB/s; {arguments.rows} tokens\n")
    print("| weights | budget | resident | ms | of resident | peak GB | reserved GB | process GB "
          "| working GB, of estimate | waited |\n|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    base: dict[str, float] = {}
    notes: list[str] = []
    for case in CASES:
        if arguments.cases in case.weights:
            known = base.get(case.weights)
            time = measure(case, arguments.rows, arguments.layers, arguments.repeats, known, notes)
            base.setdefault(case.weights, time)
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(1.0)  # the next model is made outside of this budget
    print("", *notes, f"afterwards: {describe()}", sep="\n")


if __name__ == "__main__":
    main()
