"""8-bit codes and the forms that their scales come in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wancore.quant.codes import CODES, E4M3, E5M2
from wancore.quant.rotated import RotatedWeight, hadamard
from wancore.quant.scaled import ScaledWeight


def codes(rows: int, columns: int) -> torch.Tensor:
    return torch.randint(-127, 128, (rows, columns), dtype=torch.int8)


@pytest.mark.parametrize("shape", [(), (1,), (6,), (6, 1), (2, 1), (3, 2), (6, 2, 1)])
def test_scales_are_spread_over_what_they_are_for(shape: tuple[int, ...]) -> None:
    stored, scale = codes(6, 8), torch.rand(shape) + 0.5
    grid = scale.reshape(shape[0], -1) if scale.numel() > 1 else scale.reshape(1, 1)
    tiles = grid.repeat_interleave(6 // grid.shape[0], 0).repeat_interleave(8 // grid.shape[1], 1)
    weight = ScaledWeight("int8", stored, scale)
    assert torch.equal(weight.values(), stored.float() * tiles)
    assert (weight.row_scales is None) == (grid.shape[1] > 1 or grid.shape[0] in (2, 3))


def test_tiles_of_128_may_be_cut_off_by_the_edge() -> None:
    stored, scale = codes(200, 300), torch.rand(2, 3)
    weight = ScaledWeight("int8", stored, scale)
    for row, column in ((0, 0), (127, 127), (128, 128), (199, 299)):
        expected = float(stored[row, column]) * scale[row // 128, column // 128]
        assert weight.values()[row, column] == expected
    assert torch.equal(weight.rows(128, 200).values(), weight.values()[128:])
    with pytest.raises(ValueError, match="cut through tiles of 128"):
        weight.rows(0, 100)


@pytest.mark.parametrize("shape", [(5,), (7, 1), (6, 3), (2, 2, 2), (0,)])
def test_scales_that_do_not_cover_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not cover 6 x 8"):
        ScaledWeight("int8", codes(6, 8), torch.ones(shape))


def test_half_precision_scales_are_widened_not_rounded() -> None:
    scale = torch.tensor([0.1], dtype=torch.bfloat16)
    weight = ScaledWeight("int8", codes(2, 2), scale)
    assert weight.scale is not None and weight.scale.dtype == torch.float32
    assert float(weight.scale) == float(scale)


@pytest.mark.parametrize("dtype", [E4M3, E5M2])
def test_float8_never_overflows(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    wide = torch.tensor([-1e9, -largest, 0.0, largest, largest * 1.2, 1e9])
    assert torch.equal(
        CODES[dtype].rounded(wide).float().abs(), torch.tensor([largest] * 2 + [0] + [largest] * 3)
    )


@pytest.mark.parametrize("dtype", [E4M3, E5M2])
def test_steps_are_the_gaps_between_all_codes(dtype: torch.dtype) -> None:
    values = torch.arange(127 if dtype == E4M3 else 124, dtype=torch.uint8).view(dtype).float()
    assert torch.equal(CODES[dtype].steps(values[:-1]), values.diff())


@given(st.sampled_from((4, 16, 64, 256)))
def test_hadamard_matrices_are_their_own_inverse(size: int) -> None:
    torch.testing.assert_close(hadamard(size) @ hadamard(size), torch.eye(size), rtol=0, atol=1e-6)


@pytest.mark.parametrize("group", [0, 2, 3, 8, 32, 64])
def test_groups_that_are_no_power_of_four_or_do_not_divide_are_refused(group: int) -> None:
    with pytest.raises(ValueError, match=f"groups of {group}: 16 of them"):
        RotatedWeight(ScaledWeight("int8", codes(4, 16), torch.ones(4, 1)), group)
