"""Matrices as e4m3 rows with a scale each, and what that costs: in one trip through memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from wancore.kernels.codes import FP8, quantised
from wancore.kernels.register import register, rows_of_vectors
from wancore.kernels.sources import KERNELS, serves

#: Bits of e4m3's mantissa, and the exponent below which its values are as far apart as there.
MANTISSA, SMALLEST = 3, -6


class Requantised(NamedTuple):
    """codes [R, C] e4m3, scale [R, 1]; errors [R, 4], float32: the largest difference, the sum of their
    squares, the sum of squares of what was meant, the largest difference in steps of the format."""

    codes: Tensor
    scale: Tensor
    errors: Tensor


def requantise_rows(x: Tensor) -> Requantised:
    """x [R, C] float32; scales as `codes.quantised` has them."""
    suits = x.dtype == torch.float32 and x.ndim == 2 and x.is_contiguous() and rows_of_vectors(x)
    return Requantised(*OPERATOR(x)) if suits and serves(x) else requantise_rows_twin(x)


def requantise_rows_twin(x: Tensor) -> Requantised:
    codes, scale = quantised(x)
    values = codes.float()
    away = (values * scale - x).abs()
    _, exponent = torch.frexp(values.abs())  # value = m * 2^exponent with m in [0.5, 1)
    exponent = torch.where(values == 0, torch.full_like(exponent, SMALLEST), exponent - 1)
    steps = torch.ldexp(torch.ones_like(values), exponent.clamp_min(SMALLEST) - MANTISSA) * scale
    ratio = away / steps.clamp_min(torch.finfo(torch.float32).tiny)
    columns = (away.amax(-1), away.square().sum(-1), x.square().sum(-1), ratio.amax(-1))
    return Requantised(codes, scale, torch.stack(columns, dim=-1).float())


def on_gpu(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    codes, scale, errors = results(x)
    KERNELS.call("wancore_requantise", x.device, x, codes, scale, errors, *x.shape)
    return codes, scale, errors


def results(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x, dtype=FP8), x.new_empty(len(x), 1), x.new_empty(len(x), 4)


OPERATOR = register("requantise_rows(Tensor x) -> (Tensor, Tensor, Tensor)", on_gpu, results)
