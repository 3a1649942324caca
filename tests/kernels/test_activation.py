"""The twins of the elementwise kernels, against float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.compare import close, codes_close
from wancore.kernels.activation import activation, gelu, quantise_rows, silu_gate
from wancore.kernels.codes import Codes, plain_rows

DTYPES = st.sampled_from([torch.float32, torch.float16, torch.bfloat16])


@given(st.integers(1, 5), st.integers(1, 40), DTYPES)
def test_gelu_and_silu_gate(rows: int, width: int, dtype: torch.dtype) -> None:
    torch.manual_seed(rows * 41 + width)
    both = (3 * torch.randn(rows, 2 * width)).to(dtype)
    x, gate = both[:, :width], both[:, width:]
    assert close(gelu(x), F.gelu(x.double(), approximate="tanh"))
    assert close(silu_gate(x, gate), F.silu(x.double()) * gate.double())
    assert gelu(x).dtype == dtype


@given(st.integers(1, 5), st.integers(1, 40), DTYPES, st.floats(1e-3, 1e3))
def test_quantised_rows_are_within_half_a_step(
    rows: int, width: int, dtype: torch.dtype, size: float
) -> None:
    torch.manual_seed(rows * 41 + width)
    x = (size * torch.randn(rows, width)).to(dtype)
    codes = quantise_rows(x, plain=True)
    assert codes_close(codes, x.double())
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
