"""Quantised weights that hold floats while an adapter is on them: small layers, outside the blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from wancore.lora.terms import Change
from wancore.quant.linear import Linear, weight_only
from wancore.quant.weight import Weight


class DenseWeight(Weight):
    """A matrix as it is, behind the interface of quantised weights."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__(str(matrix.dtype).removeprefix("torch."), tuple(matrix.shape))
        self.register_buffer("matrix", matrix)

    def values(self) -> Tensor:
        return self.matrix.float()

    def steps(self) -> Tensor:
        return self.values().abs() * torch.finfo(self.matrix.dtype).eps

    def quantised(self, master: Tensor) -> Self:
        return type(self)(master.to(self.matrix.dtype))


class InFloats:
    """One quantised parameter, replaced by floats with the change in them."""

    def __init__(self, change: Change, dtype: torch.dtype) -> None:
        held = change.slot.held
        assert isinstance(held, Weight)
        self.change, self.slot, self.dtype, self.original = change, change.slot, dtype, held
        self.arithmetic = getattr(change.slot.module, "arithmetic", None)
        self.strengths: tuple[float, ...] | None = None

    def set(self, by_adapter: Sequence[float]) -> bool:
        """Merges with these strengths; nothing happens where they are those that are merged already."""
        strengths = self.change.strengths(by_adapter)
        if strengths == self.strengths:
            return False
        self.strengths = strengths
        if not any(strengths):
            self.put_back()
            return True
        merged = self.change.applied(self.original.values(), by_adapter)
        self.slot.module.weight = DenseWeight(merged.to(self.dtype))
        if isinstance(self.slot.module, Linear):
            self.slot.module.arithmetic = weight_only
        return True

    def put_back(self) -> None:
        """The quantised weight that was there before."""
        self.slot.module.weight = self.original
        if isinstance(self.slot.module, Linear) and self.arithmetic is not None:
            self.slot.module.arithmetic = self.arithmetic
