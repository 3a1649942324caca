"""Every attention backend that is here: `python -m benchmarks.attention`.

Self-attention of the 14B model, 40 heads of 128, bf16. The floor is the same number of operations at the
rate of a large matrix product in this run. Errors are against float64 on a slice of rows, on random data.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from benchmarks.gpu import busy, describe, milliseconds
from benchmarks.rates import fp8_product_rate, product_rate
from wancore.errors import InvalidInput
from wancore.kernels.attention import Attention
from wancore.kernels.attention.backend import Call
from wancore.kernels.attention.choice import loaded
from wancore.kernels.attention.registry import all_backends
from wancore.plugins import plugin_manager

HEADS, WIDTH = 40, 128
ROWS = (21_504, 32_760)
SLICE = 64
LEFT_OUT = ("math", "sdpa")  # the first needs memory for every pair of rows, the second is one of the others


def inputs(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(rows)
    return tuple(  # type: ignore[return-value]
        torch.randn(rows, HEADS, WIDTH, device="cuda", dtype=torch.bfloat16) for _ in range(3)
    )


def slice_error(out: Tensor, q: Tensor, k: Tensor, v: Tensor) -> float:
    """Relative error (Frobenius) of some rows in float64, every head."""
    at = torch.linspace(0, len(q) - 1, SLICE, device=q.device).long()
    wrong, size = 0.0, 0.0
    for h in range(HEADS):
        weights = (q[at, h].double() @ k[:, h].double().mT / WIDTH**0.5).softmax(-1)
        wanted = weights @ v[:, h].double()
        wrong += float((out[at, h].double() - wanted).square().sum())
        size += float(wanted.square().sum())
    return (wrong / size) ** 0.5


def measure(rows: int, rate: float, fp8_rate: float) -> None:
    q, k, v = inputs(rows)
    operations = 4 * rows * rows * HEADS * WIDTH
    print(f"| {rows} | floor bf16 / fp8 | {1e3 * operations / rate:.2f} / {1e3 * operations / fp8_rate:.2f} "
          f"| {rate / 1e12:.0f} / {fp8_rate / 1e12:.0f} | |")  # fmt: skip
    backends = all_backends(plugin_manager())
    for backend in backends:
        if backend.name in LEFT_OUT:
            continue
        if problem := backend.refusal(Call.of(q)) or loaded(backend)[1]:
            print(f"| {rows} | {backend.name} | | | not here: {problem} |")
            continue
        attention = Attention(backend.name, backends)
        try:
            out = attention(q, k, v)
        except InvalidInput as refused:
            print(f"| {rows} | {backend.name} | | | {refused} |")
            continue
        error = slice_error(out, q, k, v)
        time = milliseconds(lambda attention=attention: attention(q, k, v))
        print(f"| {rows} | {backend.name} | {time:.2f} | {operations / time / 1e9:.0f} | {error:.1e} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    arguments = parser.parse_args()
    busy()
    busy()
    print(describe())
    with torch.no_grad():
        rates = product_rate(), fp8_product_rate()
        print("\n| rows | backend | ms | TFLOP/s | error |\n|---|---|---|---|---|")
        for rows in arguments.rows:
            measure(rows, *rates)
    print(f"\nafterwards: {describe()}")


if __name__ == "__main__":
    main()
