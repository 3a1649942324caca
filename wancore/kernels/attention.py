"""Softmax attention over rows: `attend(q [S, H, d], k [M, H, d], v [M, H, d]) -> [S, H, d]`.

Scale is 1 / sqrt(d), nothing is masked.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's scaled dot product attention, which picks the best of its own kernels."""
    q, k, v = (t.transpose(0, 1)[None] for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1)


def grouped(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Attention within groups: q [G, s, H, d], k and v [G, M, H, d] -> [G, s, H, d].

    `lengths` [G]: how many of each group's keys count; None: all. A group without keys gets zeros.
    """
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    if lengths is None:
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
    mask = (torch.arange(k.shape[2], device=k.device) < lengths[:, None])[:, None, None]
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)
    return out.masked_fill((lengths == 0)[:, None, None, None], 0)  # backends differ on empty rows
