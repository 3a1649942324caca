"""The dtypes that codes are stored in: their range, and the distance between their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor


@dataclass(frozen=True)
class Code:
    """`largest` magnitude; `rounded` clamps and rounds float32 to it; `steps` is the spacing at values."""

    dtype: torch.dtype
    largest: float
    rounded: Callable[[Tensor], Tensor]
    steps: Callable[[Tensor], Tensor]


def to_float8(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Clamped first: torch turns what is out of range into NaN, not into the largest value."""
    largest = torch.finfo(dtype).max
    return values.clamp(-largest, largest).to(dtype)


def to_int8(values: Tensor) -> Tensor:
    """Round to nearest, ties to even; -128 is not used."""
    return values.round().clamp(-127, 127).to(torch.int8)


def float_steps(values: Tensor, mantissa_bits: int, smallest_exponent: int) -> Tensor:
    """The spacing of a small float format at each value, its subnormals included."""
    _, exponent = torch.frexp(values.abs())  # value = m * 2^exponent with m in [0.5, 1)
    exponent = torch.where(values == 0, torch.full_like(exponent, smallest_exponent), exponent - 1)
    return torch.ldexp(torch.ones_like(values), exponent.clamp_min(smallest_exponent) - mantissa_bits)


def integer_steps(values: Tensor) -> Tensor:
    return torch.ones(1, 1, device=values.device)


E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2


def float8(dtype: torch.dtype, mantissa_bits: int, smallest_exponent: int) -> Code:
    steps = partial(float_steps, mantissa_bits=mantissa_bits, smallest_exponent=smallest_exponent)
    return Code(dtype, torch.finfo(dtype).max, partial(to_float8, dtype=dtype), steps)


def wide_float(dtype: torch.dtype, mantissa_bits: int, smallest_exponent: int) -> Code:
    """Ordinary floats, which some files scale too: there the scale of a weight that fits is 1."""
    steps = partial(float_steps, mantissa_bits=mantissa_bits, smallest_exponent=smallest_exponent)
    return Code(dtype, 1.0, partial(torch.Tensor.to, dtype=dtype), steps)


CODES: dict[torch.dtype, Code] = {
    E4M3: float8(E4M3, mantissa_bits=3, smallest_exponent=-6),
    E5M2: float8(E5M2, mantissa_bits=2, smallest_exponent=-14),
    torch.int8: Code(torch.int8, 127.0, to_int8, integer_steps),
    torch.bfloat16: wide_float(torch.bfloat16, mantissa_bits=7, smallest_exponent=-126),
    torch.float16: wide_float(torch.float16, mantissa_bits=10, smallest_exponent=-14),
    torch.float32: wide_float(torch.float32, mantissa_bits=23, smallest_exponent=-126),
}
