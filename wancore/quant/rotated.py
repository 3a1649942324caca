"""ConvRot: columns rotated in groups by a Hadamard matrix before they were quantised (ComfyUI)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from wancore.quant.weight import Weight

H4 = ((1, 1, 1, -1), (1, 1, -1, 1), (1, -1, 1, 1), (-1, 1, 1, 1))


class RotatedWeight(Weight):
    """`inner` holds W H^T for each group of `group` input columns; H is orthogonal and symmetric."""

    def __init__(self, inner: Weight, group: int) -> None:
        """Raises `ValueError` if `group` is no power of 4 that divides the columns."""
        super().__init__(inner.format, inner.shape)
        if group < 4 or group & (group - 1) or group.bit_length() % 2 == 0 or inner.shape[1] % group:
            raise ValueError(f"columns cannot be rotated in groups of {group}: {inner.shape[1]} of them")
        self.inner, self.group = inner, group

    def rotate(self, matrix: Tensor) -> Tensor:
        """Either way: the rotation is its own inverse."""
        grouped = matrix.reshape(-1, self.group) @ hadamard(self.group).to(matrix.device)
        return grouped.reshape(matrix.shape)

    def values(self) -> Tensor:
        return self.rotate(self.inner.values())

    def steps(self) -> Tensor:
        """A rotated error is a sum over a group: at most sqrt(group) steps of the codes."""
        return self.inner.steps().expand(self.shape).amax() * self.group**0.5

    def quantised(self, master: Tensor) -> RotatedWeight:
        return RotatedWeight(self.inner.quantised(self.rotate(master)), self.group)

    def rows(self, start: int, end: int) -> RotatedWeight:
        return RotatedWeight(self.inner.rows(start, end), self.group)


@cache
def hadamard(size: int) -> Tensor:
    """The symmetric orthogonal Hadamard matrix [size, size] for a power of 4, float32."""
    base = torch.tensor(H4, dtype=torch.float32)
    matrix = base
    while len(matrix) < size:
        matrix = torch.kron(matrix, base)
    return matrix / size**0.5
