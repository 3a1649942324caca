"""Ceilings of the device in this very run: products of large matrices, and copies from host memory."""

from __future__ import annotations

import torch

from benchmarks.gpu import milliseconds


def product_rate(size: int = 8192) -> float:
    """FLOP/s of a square bf16 product: what the tensor cores sustain now."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / milliseconds(lambda: a @ b, 20, 5) * 1e3


def fp8_product_rate(size: int = 8192) -> float:
    """FLOP/s of a square e4m3 product with one scale."""
    a, b = (torch.randn(size, size, device="cuda").to(torch.float8_e4m3fn) for _ in range(2))
    one = torch.ones((), device="cuda")

    def run() -> torch.Tensor:
        return torch._scaled_mm(a, b.t(), one, one, out_dtype=torch.bfloat16)

    return 2 * size**3 / milliseconds(run, 20, 5) * 1e3


def host_copy_rate(nbytes: int = 700_000_000) -> float:
    """Bytes/s from pinned host memory to the device."""
    source = torch.empty(nbytes, dtype=torch.uint8).pin_memory()
    target = torch.empty_like(source, device="cuda")
    return nbytes / milliseconds(lambda: target.copy_(source, non_blocking=True)) * 1e3
