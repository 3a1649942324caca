"""A low-rank branch beside a linear, added to what the linear gave: in one trip through memory."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.kernels.library import DTYPES
from wancore.kernels.register import register, rows_of_vectors
from wancore.kernels.sources import KERNELS, serves

HALVES = (torch.float16, torch.bfloat16)
DEPTH = 16  # of a tensor core's product: ranks are multiples of it
LARGEST_RANK = 64  # of one adapter as they are published; beyond it cuBLAS is faster


def add_low_rank(out: Tensor, h: Tensor, up: Tensor, scales: Tensor) -> Tensor:
    """out + (h * scales) up^T, in the memory of `out` unless gradients are wanted.

    out [..., N], h [..., R] and up [N, R] of one type, scales [R] float32; h * scales is rounded to it.
    """
    flat, rows = out.reshape(-1, out.shape[-1]), h.reshape(-1, h.shape[-1])
    if serves(out) and supported(flat, rows, up):
        OPERATOR(flat, rows, up, scales)
        return flat.reshape(out.shape)
    return add_low_rank_twin(flat, rows, up, scales).reshape(out.shape)


def add_low_rank_twin(out: Tensor, h: Tensor, up: Tensor, scales: Tensor) -> Tensor:
    h = (h * scales).to(h.dtype)
    return torch.addmm(out, h, up.mT) if torch.is_grad_enabled() else out.addmm_(h, up.mT)


def supported(out: Tensor, h: Tensor, up: Tensor) -> bool:
    """Whether the kernel takes these; the twin takes everything."""
    same = out.dtype == h.dtype == up.dtype and out.dtype in HALVES
    rank = h.shape[-1]
    suits = same and rank <= LARGEST_RANK and not rank % DEPTH
    return suits and up.is_contiguous() and rows_of_vectors(out, h, up)


def on_gpu(out: Tensor, h: Tensor, up: Tensor, scales: Tensor) -> None:
    KERNELS.call(
        "wancore_low_rank", out.device, out, out.stride(0), h, h.stride(0), up, scales,
        len(out), out.shape[1], h.shape[1], DTYPES[out.dtype],
    )  # fmt: skip


OPERATOR = register(
    "add_low_rank(Tensor(a!) out, Tensor h, Tensor up, Tensor scales) -> ()",
    on_gpu,
    lambda out, h, up, scales: None,
)
