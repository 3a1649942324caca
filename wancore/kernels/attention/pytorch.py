"""PyTorch's own attention kernels, one by one, and its own choice among them.

The single kernels are called as they are registered: the switches of `torch.backends.cuda` and
`torch.nn.attention` belong to the whole process.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wancore.kernels.attention.backend import BF16, FP16, FP32, Backend, Run


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's scaled dot product attention over rows [S, H, d], by the kernel that it picks."""
    q, k, v = (t.transpose(0, 1)[None] for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1)


def grouped_sdpa(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
    """The same over groups of rows [G, S, H, d]; a group's keys past its length are masked."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    if lengths is None:
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
    mask = (torch.arange(k.shape[2], device=k.device) < lengths[:, None])[:, None, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


def flash(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
    out = torch.ops.aten._scaled_dot_product_flash_attention(*heads_first(q, k, v))
    return out[0].transpose(1, 2)


def cudnn(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
    out = torch.ops.aten._scaled_dot_product_cudnn_attention(*heads_first(q, k, v), None, False)
    return out[0].transpose(1, 2)


def efficient(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
    out = torch.ops.aten._scaled_dot_product_efficient_attention(*heads_first(q, k, v), None, False)
    return out[0].transpose(1, 2)


def math(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
    q, k, v = heads_first(q, k, v)
    mask = None
    if lengths is not None:
        past = (torch.arange(k.shape[2], device=k.device) >= lengths[:, None])[:, None, None]
        mask = torch.zeros_like(past, dtype=q.dtype).masked_fill(past, -torch.inf)  # it adds its mask
    return torch.ops.aten._scaled_dot_product_attention_math(q, k, v, mask)[0].transpose(1, 2)


def heads_first(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


def load_flash() -> Run:
    if not torch.backends.cuda.is_flash_attention_available():
        raise RuntimeError("this PyTorch is built without it")
    return flash


def load_cudnn() -> Run:
    if not torch.backends.cudnn.is_available():
        raise RuntimeError("this PyTorch comes without cuDNN")
    return cudnn


BACKENDS = (
    Backend(
        "cudnn",
        "cuDNN's fused attention, through PyTorch",
        load_cudnn,
        lowest=(8, 0),
        head_dims=(8, 128),
        rank=20,
        ranked_from=(9, 0),  # below, PyTorch's own choice is as fast
    ),
    Backend("flash", "FlashAttention-2, as PyTorch carries it", load_flash, lowest=(8, 0)),
    Backend(
        "efficient",
        "memory-efficient attention, as PyTorch carries it",
        lambda: efficient,
        lowest=(5, 0),
        dtypes=(BF16, FP16, FP32),
        head_dims=(8, 65536),
    ),
    Backend(
        "math",
        "plain products, for comparison: needs memory for every pair of rows",
        lambda: math,
        devices=(),
        dtypes=(),
        head_dims=(1, 1 << 30),
        varlen=True,
    ),
    Backend(
        "sdpa",
        "PyTorch's own choice for each call",
        lambda: grouped_sdpa,
        devices=(),
        dtypes=(),
        head_dims=(1, 1 << 30),
        varlen=True,
        rank=90,
    ),
)
