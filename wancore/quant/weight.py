"""A layer's weight in the form in which it is stored.

What others need of one: its float32 values (`dense_weight`), the name of its format (`weight_format`),
and the same format around other values (`requantise`). A changed layer gets a new `Weight` assigned;
the old one, put back, restores it bit for bit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn


class Weight(nn.Module, ABC):
    """Codes, scales and whatever else the format has, as buffers that move with the module.

    `format`: its name, as `inspect` prints it; `shape`: of the matrix that it stands for, [out, in] for
    a linear layer. Buffers keep their dtype whatever the module is cast to: a scale in bfloat16 would
    cost 0.4 % of a row.
    """

    format: str
    shape: tuple[int, ...]

    def __init__(self, format: str, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.format, self.shape = format, tuple(shape)

    @abstractmethod
    def values(self) -> Tensor:
        """The matrix in float32, as the format defines it."""

    @abstractmethod
    def steps(self) -> Tensor:
        """The distance between neighbouring values of the format at each element; broadcasts to `shape`."""

    @abstractmethod
    def quantised(self, master: Tensor) -> Self:
        """A weight of the same format and granularity that holds `master`, float32 of this shape."""

    def requantised(self, master: Tensor) -> tuple[Self, Tensor]:
        """As `quantised`, with the sums of its errors (`error_sums`), which nobody has waited for."""
        new = self.quantised(master)
        return new, error_sums(new, master)

    def rows(self, start: int, end: int) -> Weight:
        """The rows [start, end) as a weight of their own. Raises `ValueError` where the format ties rows."""
        raise ValueError(f"{self.format} cannot be split into rows")

    def dequantised(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix, computed in float32 and rounded once to `dtype`."""
        return self.values().to(dtype)

    def at(self, device: torch.device) -> Self:
        """The same weight with everything on `device`: of one that waits in host memory, what is small may
        lie elsewhere than its codes."""
        if all(buffer.device == device for buffer in self.buffers()):
            return self
        moved = copy(self)
        moved._buffers = {name: b if b is None else b.to(device) for name, b in self._buffers.items()}
        moved._modules = {
            name: m.at(device) if isinstance(m, Weight) else m for name, m in self._modules.items()
        }
        return moved

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in memory."""
        return sum(buffer.nbytes for buffer in self.buffers())

    @property
    def device(self) -> torch.device:
        return next(self.buffers()).device

    def extra_repr(self) -> str:
        return f"{self.format}, shape={list(self.shape)}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Moves buffers as asked, and leaves their dtypes alone."""

        def moved(buffer: Tensor) -> Tensor:
            result = fn(buffer)
            return result if result.dtype == buffer.dtype else buffer.to(result.device)

        return super()._apply(moved, recurse)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class QuantisationError:
    """What holding a matrix in a format costs.

    `max_abs`: largest difference of an element; `rel_rms`: root mean square of the differences over that
    of the matrix; `max_steps`: largest difference in steps of the format at that element.
    """

    max_abs: float
    rel_rms: float
    max_steps: float

    @classmethod
    def of(cls, weight: Weight, master: Tensor) -> QuantisationError:
        """The error of `weight`, where `master` [*weight.shape] was meant."""
        (error,) = cls.read([(error_sums(weight, master), master.numel())])
        return error

    @classmethod
    def read(cls, measured: Sequence[tuple[Tensor, int]]) -> list[QuantisationError]:
        """From the sums of each matrix and the count of its elements: the device is waited for once."""
        if not measured:
            return []
        totals = torch.stack([total(sums) for sums, _ in measured]).tolist()
        errors = []
        for (farthest, squares, size, steps), (_, count) in zip(totals, measured, strict=True):
            rms = math.sqrt(squares / count)
            errors.append(cls(farthest, math.sqrt(squares / size) if size else rms, steps))
        return errors

    def __str__(self) -> str:
        return f"relative error {self.rel_rms:.1e} (rms), at most {self.max_steps:.2f} steps"


def error_sums(weight: Weight, master: Tensor) -> Tensor:
    """Of each row, float32 [R, 4]: the largest difference of `weight` from `master`, the sum of their
    squares, the sum of squares of `master`, the largest difference in steps of the format."""
    weight = weight.at(weight.device)
    wanted = master.to(weight.device).float()
    difference = (weight.values() - wanted).abs()
    ratio = difference / weight.steps().clamp_min(torch.finfo(torch.float32).tiny)
    away, wanted, ratio = (t.reshape(len(master), -1) for t in (difference, wanted, ratio))
    columns = (away.amax(-1), away.square().sum(-1), wanted.square().sum(-1), ratio.amax(-1))
    return torch.stack(columns, dim=-1)


def total(sums: Tensor) -> Tensor:
    """[R, 4] of the rows -> [4] of the matrix, float64."""
    largest, summed = sums.amax(0).double(), sums.sum(0, dtype=torch.float64)
    return torch.stack([largest[0], summed[1], summed[2], largest[3]])


def requantise(weight: Weight, master: Tensor) -> tuple[Weight, QuantisationError]:
    """`master`, float32 of the same shape, in the format of `weight`; and the error that this costs.

    `weight` itself is left as it is. Raises `ValueError` for another shape.
    """
    if tuple(master.shape) != weight.shape:
        raise ValueError(f"a weight of shape {list(weight.shape)} cannot hold {list(master.shape)}")
    new, sums = weight.requantised(master.to(weight.device).float())
    return new, QuantisationError.read([(sums, master.numel())])[0]


def dense_weight(module: nn.Module, dtype: torch.dtype = torch.float32) -> Tensor:
    """The weight matrix of a layer, quantised or not, as a plain tensor of `dtype`."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, Weight):
        return weight.dequantised(dtype)
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(module).__name__} has no weight")
    return weight.to(dtype)


def weight_format(module: nn.Module) -> str:
    """The name of the format that a layer's weight is held in: of its `Weight`, or a dtype's."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, Weight):
        return weight.format
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(module).__name__} has no weight")
    return str(weight.dtype).removeprefix("torch.")
