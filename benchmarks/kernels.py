"""Each kernel of the transformer at the shapes of the 14B model: bandwidth beside that of a copy.

python -m benchmarks.kernels [--tokens 21504]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.gpu import busy, copy_bandwidth, describe, milliseconds
from benchmarks.wan14b import CONFIG
from wancore.kernels.activation import activation, gelu, quantise_rows, silu_gate
from wancore.kernels.codes import Codes
from wancore.kernels.junction import Affine, Form, Modulated, Update, junction
from wancore.kernels.rotary import norm_rotate, rms_norm

Measured = tuple[str, Callable[[], object], float]  # name, what runs, bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=21504)
    rows = parser.parse_args().tokens
    busy()
    print(describe())
    copy = copy_bandwidth()
    print(f"{rows} tokens; copy {copy / 1e9:.0f} GB/s")
    print("| kernel | us | GB/s | of copy |\n|---|---|---|---|")
    with torch.inference_mode():
        for name, run, nbytes in kernels(rows):
            time = milliseconds(run, repeats=20)
            rate = nbytes / time * 1e3
            print(f"| {name} | {time * 1e3:.0f} | {rate / 1e9:.0f} | {rate / copy:.0%} |", flush=True)


def kernels(rows: int) -> Iterator[Measured]:
    dim, ffn = CONFIG.dim, CONFIG.ffn_dim
    codes, both = Form(codes=True, plain=False), Form(codes=True, plain=True)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)

    x, update, hint = noise(rows, dim), noise(rows, dim), noise(rows, dim)
    one = x.nbytes
    tables = torch.randn(1, 6, dim, device="cuda").unbind(1)
    norm, gate = Modulated(tables[0], tables[1]), tables[2]
    affine = Affine(noise(dim), noise(dim))
    gated, plain = [Update(update, gate=gate)], [Update(update)]
    yield "LayerNorm, modulation", lambda: junction(x, (), norm), 2 * one
    yield "LayerNorm, modulation, fp8", lambda: junction(x, (), norm, form=codes), 1.5 * one
    yield "gated residual", lambda: junction(x, gated), 3 * one
    yield "gated residual, LayerNorm, modulation", lambda: junction(x, gated, norm), 4 * one
    yield (
        "gated residual, LayerNorm, modulation, fp8",
        lambda: junction(x, gated, norm, form=codes),
        3.5 * one,
    )
    yield "the same, and bf16", lambda: junction(x, gated, norm, form=both), 4.5 * one
    yield "gated residual, affine LayerNorm", lambda: junction(x, gated, affine), 4 * one
    yield "residual, LayerNorm, modulation", lambda: junction(x, plain, norm), 4 * one
    hinted = [*gated, Update(hint, strength=0.7)]
    yield "gated residual, hint, LayerNorm, modulation", lambda: junction(x, hinted, norm), 5 * one
    packed = noise(rows, 3 * dim)
    q, k, _ = packed.split(dim, dim=1)
    cos, sin = torch.randn(2, rows, 64, device="cuda").unbind(0)
    weights = noise(dim), noise(dim)

    def turn(plain: bool) -> Callable[[], object]:
        return lambda: norm_rotate(q, k, weights, 1e-6, cos, sin, plain)

    yield "RMSNorm(q, k), rotation", turn(False), 4 * one + 2 * cos.nbytes
    yield "RMSNorm(q, k), rotation, plain q", turn(True), 5 * one + 2 * cos.nbytes
    yield "RMSNorm", lambda: rms_norm(x, weights[0], 1e-6), 2 * one
    yield "fp8 rows", lambda: quantise_rows(x), 1.5 * one
    hidden, other = noise(rows, ffn), noise(rows, ffn)

    def coded() -> Tensor | Codes:
        return activation(hidden, "gelu", codes=True, plain=False)

    yield "GELU", lambda: gelu(hidden), 2 * hidden.nbytes
    yield "GELU, fp8", coded, 1.5 * hidden.nbytes
    yield "SiLU x gate", lambda: silu_gate(hidden, other), 3 * hidden.nbytes


if __name__ == "__main__":
    main()
