"""Kernels as torch operators, so that torch.compile works around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

#: Holds the registrations; they last as long as it does.
OPERATORS = torch.library.Library("wancore", "FRAGMENT")


def register(schema: str, cuda: Callable[..., Any], fake: Callable[..., Any]) -> Callable[..., Any]:
    """The operator `wancore::NAME` of `schema` ("NAME(Tensor x, ...) -> Tensor").

    `cuda` computes; `fake` gives tensors of the same shapes, strides and types, without values.
    """
    name = schema.partition("(")[0]
    OPERATORS.define(schema)
    OPERATORS.impl(name, cuda, "CUDA")
    torch.library.register_fake(f"wancore::{name}", fake, lib=OPERATORS)
    return getattr(torch.ops.wancore, name).default


def rows_of_vectors(*tensors: torch.Tensor | None) -> bool:
    """Whether the kernels can read these as rows: the last dimension contiguous, all in 16-byte vectors.

    What is compiled has no addresses yet; there, tensors begin where the allocator or a vector does.
    """
    for tensor in tensors:
        if tensor is None:
            continue
        if tensor.stride(-1) != 1 or tensor.shape[-1] % 8:
            return False
        if not torch.compiler.is_compiling() and tensor.data_ptr() % 16:
            return False
        if tensor.ndim > 1 and tensor.stride(-2) * tensor.element_size() % 16:
            return False
    return True
