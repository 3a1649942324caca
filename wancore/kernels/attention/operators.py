"""Library functions as torch operators, so that torch.compile and CUDA graphs work around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from wancore.kernels.attention.backend import Run

_LIBRARY = torch.library.Library("wancore", "FRAGMENT")
SIGNATURE = "(Tensor q, Tensor k, Tensor v, Tensor? lengths) -> Tensor"


def operator(name: str, run: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]) -> Run:
    """`run` as the operator `wancore::name`; its result is contiguous and in the dtype of q."""
    _LIBRARY.define(name + SIGNATURE)
    _LIBRARY.impl(name, run, "CUDA")
    torch.library.register_fake(f"wancore::{name}", fake, lib=_LIBRARY)
    return cast(Run, getattr(torch.ops.wancore, name).default)


def fake(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
    return q.new_empty((*q.shape[:-1], v.shape[-1]))
