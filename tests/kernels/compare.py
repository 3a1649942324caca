"""How near a kernel or its twin must come to float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wancore.kernels.codes import Codes

ROUNDING = {torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
ARITHMETIC = 2e-6  # of the largest value: what float32 sums and functions may cost


def close(got: Tensor, wanted: Tensor, arithmetic: float = ARITHMETIC) -> bool:
    """Within the rounding of the type of `got`, beside what `arithmetic` costs: a share of the largest."""
    wanted = wanted.double().to(got.device)
    smallest = 2.0**-24 if got.dtype == torch.float16 else 0
    allowed = 1.01 * ROUNDING[got.dtype] * wanted.abs() + arithmetic * wanted.abs().max() + smallest
    return got.shape == wanted.shape and bool(((got.double() - wanted).abs() <= allowed).all())


def codes_close(got: Codes, wanted: Tensor, rounded: torch.dtype = torch.float32) -> bool:
    """Every code within half a step of e4m3, and the scales the largest value of the row / 448.

    `rounded`: the type in which the values were when they were quantised.
    """
    largest = wanted.double().abs().amax(-1, keepdim=True)
    scale = torch.where(largest > 0, largest / 448, torch.ones_like(largest))
    half_step = torch.maximum(wanted.abs() / 16, scale / 1024) + ROUNDING[rounded] * wanted.abs()
    error = (got.codes.double() * got.scale.double() - wanted).abs()
    right_scale = torch.allclose(got.scale.double(), scale, rtol=3e-5 + ROUNDING[rounded], atol=0)
    return right_scale and bool((error <= 1.001 * half_step + ARITHMETIC * 10 * largest).all())


def doubled(value: Any) -> Any:
    """Tensors of floats in float64, in tuples and dictionaries too."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, tuple):
        return tuple(map(doubled, value))
    return value
