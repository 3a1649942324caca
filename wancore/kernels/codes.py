"""Rows in fp8 (e4m3) with a scale each: what the linears of a quantised model multiply."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FP8 = torch.float8_e4m3fn
FP8_LARGEST = 448.0


@dataclass(frozen=True)
class Codes:
    """`codes` [S, D] e4m3 times `scale` [S, 1] float32; `plain` [S, D]: the same rows unquantised,
    where something beside the product reads them. `dtype`: what a product with them is rounded to."""

    codes: Tensor
    scale: Tensor
    dtype: torch.dtype
    plain: Tensor | None = None

    def __getitem__(self, rows: slice) -> Codes:
        return Codes(
            self.codes[rows], self.scale[rows], self.dtype, None if self.plain is None else self.plain[rows]
        )

    def __len__(self) -> int:
        return len(self.codes)

    def dequantised(self) -> Tensor:
        return (self.codes.float() * self.scale).to(self.dtype)


def wide(x: Tensor) -> Tensor:
    """What twins compute in: float32, or float64 where that is given."""
    return x if x.dtype == torch.float64 else x.float()


def plain_rows(x: Tensor | Codes) -> Tensor:
    """The rows unquantised. Raises `ValueError` where they were not asked for."""
    if isinstance(x, Tensor):
        return x
    if x.plain is None:
        raise ValueError("these rows exist in fp8 only")
    return x.plain


def quantised(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [S, D] -> (codes, scale [S, 1]): scale = amax of the row / 448, 1 for a row of zeros."""
    values = wide(x)
    scale = values.abs().amax(-1, keepdim=True) / FP8_LARGEST
    scale = torch.where(scale > 0, scale, torch.ones_like(scale)).float()
    return (values / scale).clamp(-FP8_LARGEST, FP8_LARGEST).to(FP8), scale
