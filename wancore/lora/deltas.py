"""What an adapter changes of one parameter: the forms that files have it in.

An additive delta is `strength * scale * matrix`; DoRA alone is not linear in its strength. Everything is
computed in float32, whatever the factors are stored as, and rounded once by whoever writes the weight.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

Shape = tuple[int, ...]
HALVES = (torch.bfloat16, torch.float16)
FLOAT32_EPS = torch.finfo(torch.float32).eps


class Delta(ABC):
    """A change of one parameter."""

    @abstractmethod
    def applied(self, weight: Tensor, strength: float) -> Tensor:
        """`weight` (float32, left as it is) with this change at `strength`."""

    @abstractmethod
    def check(self, shape: Shape) -> None:
        """Raises `ValueError`, saying how, if this is no change of a parameter of `shape`."""

    @property
    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """What it is made of."""


class Additive(Delta):
    """`scale * matrix`, added. Order and grouping of additive deltas do not matter."""

    scale: float

    @abstractmethod
    def matrix(self, shape: Shape, device: torch.device) -> Tensor:
        """The unscaled change, float32 of `shape`."""

    def applied(self, weight: Tensor, strength: float) -> Tensor:
        return weight + (strength * self.scale) * self.matrix(tuple(weight.shape), weight.device)


@dataclass(frozen=True)
class LowRank(Additive):
    """up @ down (LoRA, arXiv:2106.09685). down [r, in...], up [out, r, ...]: convolutions are flattened."""

    down: Tensor
    up: Tensor
    scale: float = 1.0

    @property
    def rank(self) -> int:
        return len(self.down)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.down, self.up

    def applied(self, weight: Tensor, strength: float) -> Tensor:
        if not weight.is_cuda or weight.ndim != 2:
            return super().applied(weight, strength)
        alpha, (up, down) = strength * self.scale, self.factors(weight.device)
        if up.dtype in HALVES:  # products of halves are exact in float32, and summed there
            return torch.addmm(weight, up, down, out_dtype=torch.float32, alpha=alpha)
        return torch.addmm(weight, up, down, alpha=alpha)

    def factors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Up and down as matrices: in halves where both are in the same, else in float32."""
        up, down = (t.to(device, non_blocking=True).flatten(1) for t in (self.up, self.down))
        halves = up.dtype == down.dtype and up.dtype in HALVES
        return (up, down) if halves else (up.float(), down.float())

    def matrix(self, shape: Shape, device: torch.device) -> Tensor:
        return (on(self.up, device).flatten(1) @ on(self.down, device).flatten(1)).reshape(shape)

    def check(self, shape: Shape) -> None:
        if self.down.ndim < 2 or self.up.ndim < 2 or len(shape) < 2:
            raise ValueError(f"down {sizes(self.down)} and up {sizes(self.up)} are no pair of matrices")
        out, rows_in = shape[0], torch.Size(shape[1:]).numel()
        fits = self.up.shape[0] == out and self.down[0].numel() == rows_in
        if not fits or self.up[0].numel() != self.rank:
            raise ValueError(f"up {sizes(self.up)} times down {sizes(self.down)} is no {list(shape)}")


@dataclass(frozen=True)
class Full(Additive):
    """The whole difference."""

    values: Tensor
    scale: float = 1.0

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.values,)

    def matrix(self, shape: Shape, device: torch.device) -> Tensor:
        return on(self.values, device).reshape(shape)

    def check(self, shape: Shape) -> None:
        if without_ones(self.values.shape) != without_ones(shape):
            raise ValueError(f"a difference of shape {sizes(self.values)} is none of {list(shape)}")


@dataclass(frozen=True)
class Factor:
    """A matrix: `a` alone; a @ b; or, for convolutions, the core tensor `t` between a and b."""

    a: Tensor
    b: Tensor | None = None
    t: Tensor | None = None

    @property
    def rank(self) -> int | None:
        """None for a whole matrix."""
        return None if self.b is None else len(self.b)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(tensor for tensor in (self.a, self.b, self.t) if tensor is not None)

    @property
    def shape(self) -> Shape:
        """Of the product. Raises `ValueError` if there is none."""
        if self.b is None:
            return tuple(self.a.shape)
        if self.t is None:
            if self.a.ndim != 2 or self.b.ndim != 2 or self.a.shape[1] != self.b.shape[0]:
                raise ValueError(f"{sizes(self.a)} and {sizes(self.b)} cannot be multiplied")
            return self.a.shape[0], self.b.shape[1]
        core = (self.a.shape[0], self.b.shape[0])
        if self.t.ndim < 3 or tuple(self.t.shape[:2]) != core or self.a.ndim != 2 or self.b.ndim != 2:
            raise ValueError(f"the core {sizes(self.t)} does not join {sizes(self.a)} and {sizes(self.b)}")
        return self.a.shape[1], self.b.shape[1], *self.t.shape[2:]

    def dense(self, device: torch.device) -> Tensor:
        a = on(self.a, device)
        if self.b is None:
            return a
        b = on(self.b, device)
        if self.t is None:
            return a @ b
        return torch.einsum("ij..., jr, ip -> pr...", on(self.t, device), b, a)


@dataclass(frozen=True)
class LoKr(Additive):
    """The Kronecker product of two factors (LyCORIS, arXiv:2309.14859)."""

    w1: Factor
    w2: Factor
    scale: float = 1.0

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.w1.tensors + self.w2.tensors

    def matrix(self, shape: Shape, device: torch.device) -> Tensor:
        w1, w2 = self.w1.dense(device), self.w2.dense(device)
        w1 = w1.reshape(*w1.shape, *[1] * (w2.ndim - w1.ndim))
        return torch.kron(w1.contiguous(), w2.contiguous()).reshape(shape)

    def check(self, shape: Shape) -> None:
        first, second = self.w1.shape, self.w2.shape
        if len(first) != 2 or len(second) < 2 or len(shape) < 2:
            raise ValueError(f"factors {list(first)} and {list(second)} have no Kronecker product here")
        product = (first[0] * second[0], first[1] * second[1], *second[2:])
        if product[0] != shape[0] or torch.Size(product).numel() != torch.Size(shape).numel():
            raise ValueError(f"the Kronecker product {list(product)} is no {list(shape)}")


@dataclass(frozen=True)
class LoHa(Additive):
    """The elementwise product of two low-rank matrices (FedPara, arXiv:2108.06098)."""

    w1: Factor
    w2: Factor
    scale: float = 1.0

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.w1.tensors + self.w2.tensors

    def matrix(self, shape: Shape, device: torch.device) -> Tensor:
        return (self.w1.dense(device) * self.w2.dense(device)).reshape(shape)

    def check(self, shape: Shape) -> None:
        first, second = self.w1.shape, self.w2.shape
        numel = torch.Size(first).numel()
        if first != second or len(shape) < 2 or first[0] != shape[0] or numel != torch.Size(shape).numel():
            raise ValueError(f"the product of {list(first)} and {list(second)} is no {list(shape)}")


@dataclass(frozen=True)
class Dora(Delta):
    """W + s * ((W + D) * magnitude / norm - W), D the inner delta (DoRA, arXiv:2402.09353).

    `magnitude`: one value per output row, or per input column. `original_norm`: divide rows by the norm
    of W, as ComfyUI does, and not of W + D, as the paper, PEFT and LyCORIS do in training.
    """

    inner: Additive
    magnitude: Tensor
    original_norm: bool = False

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (*self.inner.tensors, self.magnitude)

    def applied(self, weight: Tensor, strength: float) -> Tensor:
        changed = self.inner.applied(weight, 1.0)
        rows = self.by_rows(tuple(weight.shape))
        measured = weight if self.original_norm and rows else changed
        axis = 0 if rows else 1
        shape = [n if i == axis else 1 for i, n in enumerate(weight.shape)]
        norm = measured.transpose(0, axis).flatten(1).norm(dim=1).reshape(shape) + FLOAT32_EPS
        changed = changed * (on(self.magnitude, weight.device).reshape(shape) / norm)
        return changed if strength == 1.0 else weight + strength * (changed - weight)

    def by_rows(self, shape: Shape) -> bool:
        """A vector, or [out, 1, ...]: one value a row; [1, in, ...]: one a column."""
        return self.magnitude.numel() == shape[0] and self.magnitude.shape[0] == shape[0]

    def check(self, shape: Shape) -> None:
        self.inner.check(shape)
        columns = self.magnitude.numel() == shape[1] and self.magnitude.ndim > 1
        if not self.by_rows(shape) and not columns:
            raise ValueError(f"magnitudes of shape {sizes(self.magnitude)} fit no axis of {list(shape)}")


def on(tensor: Tensor, device: torch.device) -> Tensor:
    """A stored factor as it is computed with. It travels as it is stored, and becomes wider there."""
    return tensor.to(device, non_blocking=True).float()


def without_ones(shape: Shape) -> Shape:
    return tuple(n for n in shape if n != 1)


def sizes(tensor: Tensor) -> list[int]:
    return list(tensor.shape)
