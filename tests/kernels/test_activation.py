"""The twins of the elementwise kernels, against float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from wancore.kernels.activation import activation, gelu, quantise_rows, silu_gate
from wancore.kernels.codes import FP8_LARGEST, Codes, plain_rows

ROUNDING = {torch.float32: 4e-7, torch.float16: 2**-11, torch.bfloat16: 2**-8}
DTYPES = st.sampled_from(list(ROUNDING))


def close(got: Tensor, wanted: Tensor, dtype: torch.dtype) -> bool:
    """Within the rounding of the type, and its smallest numbers."""
    return torch.allclose(got.double(), wanted, rtol=1.01 * ROUNDING[dtype], atol=1e-6)


@given(st.integers(1, 5), st.integers(1, 40), DTYPES)
def test_gelu_and_silu_gate(rows: int, width: int, dtype: torch.dtype) -> None:
    torch.manual_seed(rows * 41 + width)
    both = (3 * torch.randn(rows, 2 * width)).to(dtype)
    x, gate = both[:, :width], both[:, width:]
    assert close(gelu(x), F.gelu(x.double(), approximate="tanh"), dtype)
    assert close(silu_gate(x, gate), F.silu(x.double()) * gate.double(), dtype)
    assert gelu(x).dtype == dtype


@given(st.integers(1, 5), st.integers(1, 40), DTYPES, st.floats(1e-3, 1e3))
def test_quantised_rows_are_within_half_a_step(
    rows: int, width: int, dtype: torch.dtype, size: float
) -> None:
    torch.manual_seed(rows * 41 + width)
    x = (size * torch.randn(rows, width)).to(dtype)
    codes = quantise_rows(x, plain=True)
    assert torch.allclose(codes.scale[:, 0].double(), x.double().abs().amax(1) / FP8_LARGEST, rtol=1e-6)
    error = (codes.codes.double() * codes.scale.double() - x.double()).abs()
    half_step = torch.maximum(x.double().abs() / 16, codes.scale.double() / 1024)
    assert bool((error <= 1.001 * half_step).all())
    assert plain_rows(codes) is x


def test_quantised_together_with_the_activation() -> None:
    x = torch.randn(4, 24)
    both = activation(x, "gelu", codes=True)
    assert isinstance(both, Codes) and both.plain is not None
    alone = quantise_rows(gelu(x))
    assert torch.equal(both.codes.float(), alone.codes.float()) and torch.equal(both.scale, alone.scale)
    assert torch.equal(plain_rows(both), gelu(x))


def test_rows_of_zeros_have_the_scale_one_and_plain_rows_must_be_asked_for() -> None:
    codes = quantise_rows(torch.zeros(2, 8))
    assert torch.equal(codes.scale, torch.ones(2, 1)) and not codes.dequantised().any()
    with pytest.raises(ValueError, match="fp8 only"):
        plain_rows(codes)
