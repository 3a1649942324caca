"""4- and 8-bit floats with block scales."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quant.formats import empty, holding
from wancore.quant.blockfloat import FP4_VALUES, Mxfp8Weight, Nvfp4Weight, nearest_fp4
from wancore.quant.swizzle import padded_sizes, swizzled, unswizzled


@given(st.integers(1, 300), st.integers(1, 20))
@settings(deadline=None, max_examples=25)
def test_swizzling_goes_round_and_puts_scales_where_cublas_wants_them(rows: int, columns: int) -> None:
    scales = torch.arange(rows * columns).reshape(rows, columns)
    stored = swizzled(scales)
    assert stored.shape == padded_sizes(rows, columns)
    assert torch.equal(unswizzled(stored, rows, columns), scales)
    row, column = rows - 1, columns - 1
    tile = row // 128 * (stored.shape[1] // 4) + column // 4
    inside = row % 32 * 16 + row % 128 // 32 * 4 + column % 4
    assert stored.flatten()[tile * 512 + inside] == scales[row, column]


def test_nearest_fp4_is_the_nearest() -> None:
    values = torch.linspace(-8, 8, 3201)
    table = torch.tensor([*FP4_VALUES, *(-v for v in FP4_VALUES)])
    got = table[nearest_fp4(values).int()]
    best = (values[:, None] - table).abs().amin(1)
    torch.testing.assert_close((got - values).abs(), best)


@pytest.mark.parametrize("name", ["nvfp4", "mxfp8"])
@given(rows=st.integers(1, 70), columns=st.integers(1, 70))
@settings(deadline=None, max_examples=20)
def test_any_shape_is_padded_and_cut_again(name: str, rows: int, columns: int) -> None:
    master = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows * 100 + columns))
    weight = holding(name, master)
    assert weight.values().shape == (rows, columns)
    assert ((weight.values() - master).abs() <= weight.steps() * 1.001).all()


def test_the_high_nibble_is_the_even_column() -> None:
    weight = empty("nvfp4", 16, 16)
    assert isinstance(weight, Nvfp4Weight)
    weight.codes[0, 0] = 0x3 << 4 | 0xF  # 1.5, then -6
    weight.block_scale.fill_(0x38)  # 1.0 in e4m3
    assert weight.values()[0, :2].tolist() == [1.5, -6.0]


def test_exponent_zero_stands_for_nothing() -> None:
    weight = empty("mxfp8", 32, 32)
    assert isinstance(weight, Mxfp8Weight)
    weight.codes.fill_(1.5)
    assert weight.values().abs().max() == 0
    weight.block_scale.fill_(127 + 3)
    assert (weight.values() == 12).all()
