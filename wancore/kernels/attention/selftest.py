"""A backend's error on a small piece of random data, before it is trusted with a video."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.kernels.attention.backend import Backend, Run

ROWS, KEYS, HEADS = 192, 320, 4


@torch.no_grad()
def measured_error(run: Run, device: torch.device, dtype: torch.dtype, head_dim: int) -> float:
    """|out - reference| / |reference| (Frobenius) against float64 on normal data; NaN where there is one."""
    draw = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(1, rows, HEADS, head_dim, generator=draw).to(device, dtype) for rows in (ROWS, KEYS, KEYS)
    )
    return relative(run(q, k, v, None), reference(q, k, v))


def reference(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention over groups [G, S, H, d] in float64, on the CPU."""
    q, k, v = (t.cpu().double().transpose(1, 2) for t in (q, k, v))
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return (weights @ v).transpose(1, 2)


def relative(out: Tensor, wanted: Tensor) -> float:
    return float((out.cpu().double() - wanted).norm() / wanted.norm())


def verdict(backend: Backend, error: float) -> str:
    """Why the backend is not to be used, or ''."""
    if error <= backend.tolerance:
        return ""
    return f"its self-test gives a relative error of {error:.2g}, {backend.tolerance:g} is the most"
