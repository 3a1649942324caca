"""The twin of row-wise requantisation, against float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wancore.kernels.codes import FP8
from wancore.kernels.requantise import requantise_rows
from wancore.quant.scaled import ScaledWeight
from wancore.quant.weight import QuantisationError, Weight, requantise


@given(st.integers(1, 5), st.integers(1, 40), st.floats(1e-3, 1e3), st.booleans())
def test_codes_and_errors(rows: int, width: int, size: float, zeros: bool) -> None:
    torch.manual_seed(rows * 41 + width)
    x = size * torch.randn(rows, width)
    x[0] *= not zeros
    codes, scale, errors = requantise_rows(x)
    away = (codes.double() * scale.double() - x.double()).abs()
    assert bool((away <= torch.maximum(x.abs().double() / 16, scale.double() / 1024) * 1.0001).all())
    wanted = torch.stack([away.amax(1), away.square().sum(1), x.double().square().sum(1)], dim=1)
    torch.testing.assert_close(errors[:, :3].double(), wanted, rtol=1e-4, atol=1e-6 * size)
    assert bool((errors[:, 3] <= 0.5001).all())


def test_a_weight_of_rows_is_what_every_other_way_gives() -> None:
    master = torch.randn(32, 48)
    weight = ScaledWeight("fp8 e4m3", torch.zeros(32, 48).to(FP8), torch.ones(32, 1))
    new, error = requantise(weight, master)
    plain = Weight.requantised(weight, master)
    assert isinstance(new, ScaledWeight) and torch.equal(new.codes.float(), plain[0].codes.float())
    assert error == QuantisationError.of(new, master)
    squares = [t.double().square().sum() for t in (new.values() - master, master)]
    assert error.rel_rms == pytest.approx(math.sqrt(squares[0] / squares[1]))


def test_errors_of_many_are_read_at_once() -> None:
    sums = torch.tensor([[1.0, 4.0, 16.0, 0.5], [2.0, 5.0, 20.0, 0.25]])
    first, second = QuantisationError.read([(sums, 9), (torch.zeros(1, 4), 9)])
    assert (first.max_abs, first.rel_rms, first.max_steps) == (2.0, 0.5, 0.5)
    assert second == QuantisationError(0.0, 0.0, 0.0)
    assert QuantisationError.read([]) == []
