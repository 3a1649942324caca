"""A layer's weight in the form in which it is stored.

What others need of one: its float32 values (`dense_weight`), the name of its format (`weight_format`),
and the same format around other values (`requantise`). A changed layer gets a new `Weight` assigned;
the old one, put back, restores it bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
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

    def rows(self, start: int, end: int) -> Weight:
        """The rows [start, end) as a weight of their own. Raises `ValueError` where the format ties rows."""
        raise ValueError(f"{self.format} cannot be split into rows")

    def dequantised(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix, computed in float32 and rounded once to `dtype`."""
        return self.values().to(dtype)

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
        wanted = master.to(weight.device).float()
        difference = (weight.values() - wanted).abs()
        size = float(wanted.square().mean().sqrt())
        rms = float(difference.square().mean().sqrt())
        return cls(
            max_abs=float(difference.max()),
            rel_rms=rms / size if size else rms,
            max_steps=float((difference / weight.steps().clamp_min(torch.finfo(torch.float32).tiny)).max()),
        )

    def __str__(self) -> str:
        return f"relative error {self.rel_rms:.1e} (rms), at most {self.max_steps:.2f} steps"


def requantise(weight: Weight, master: Tensor) -> tuple[Weight, QuantisationError]:
    """`master`, float32 of the same shape, in the format of `weight`; and the error that this costs.

    `weight` itself is left as it is. Raises `ValueError` for another shape.
    """
    if tuple(master.shape) != weight.shape:
        raise ValueError(f"a weight of shape {list(weight.shape)} cannot hold {list(master.shape)}")
    new = weight.quantised(master.to(weight.device).float())
    return new, QuantisationError.of(new, master)


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
