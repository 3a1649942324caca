"""Rotary factors."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.transformer.models import noise, relative
from tests.transformer.textbook import grid, rope_factors, rotate
from wancore.transformer.rope import Frequencies, Rotation, grid_positions, riflex

positions = st.lists(
    st.tuples(*(st.floats(-200, 200, width=32) for _ in range(3))), min_size=1, max_size=5
).map(lambda p: torch.tensor(p, dtype=torch.float64))


@given(at=positions, head_dim=st.sampled_from([8, 16, 24, 64, 128]))
@settings(deadline=None, max_examples=30)
def test_factors_of_any_position(at: Tensor, head_dim: int) -> None:
    frequencies = Frequencies(head_dim)
    assert sum(frequencies.axes) == head_dim
    torch.testing.assert_close(frequencies.factors(at), rope_factors(at, head_dim), atol=1e-12, rtol=0)


@given(at=positions, by=st.tuples(*(st.integers(-50, 50) for _ in range(3))), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_only_distances_count(at: Tensor, by: tuple[int, int, int], seed: int) -> None:
    frequencies = Frequencies(24)
    q, k = noise(len(at), 2, 24, seed=seed), noise(len(at), 2, 24, seed=seed + 1)

    def scores(positions: Tensor) -> Tensor:
        rotation = Rotation.of(frequencies.factors(positions))
        return torch.einsum("shd,thd->hst", rotation(q), rotation(k))

    moved = at + torch.tensor(by, dtype=torch.float64)
    torch.testing.assert_close(scores(at), scores(moved), atol=2e-5, rtol=0)


def test_the_grid_runs_over_columns_first() -> None:
    assert torch.equal(grid_positions(2, 2, 3), grid(2, 2, 3))
    assert torch.equal(grid_positions(1, 2, 2, (-1, 0.5, 120)), grid(1, 2, 2, (-1, 0.5, 120)))


def test_rotation_is_a_complex_product_whatever_the_modulus() -> None:
    """An average of factors has a modulus below one and shrinks what it rotates."""
    x, factors = noise(5, 2, 24), 0.5 * Frequencies(24).factors(grid_positions(1, 1, 5))
    assert relative(Rotation.of(factors)(x), rotate(x.double(), factors)) < 1e-6
    part = Rotation.of(factors).rows(1, 3)
    assert relative(part(x[1:3]), rotate(x.double(), factors)[1:3]) < 1e-6
    assert Rotation.of(factors)(x.bfloat16()).dtype == torch.bfloat16


def test_an_axis_at_position_zero_is_left_alone() -> None:
    x = noise(4, 2, 24)
    at = grid_positions(4, 1, 1)
    rotated = Rotation.of(Frequencies(24).factors(at))(x)
    assert torch.equal(rotated[..., 8:], x[..., 8:]) and not torch.equal(rotated[1:, :, :8], x[1:, :, :8])


def test_riflex_slows_one_pair_to_less_than_a_turn() -> None:
    plain, slowed = Frequencies(128), riflex(Frequencies(128), 6, 21)
    differing = torch.nonzero(plain.speeds(0) != slowed.speeds(0)).flatten().tolist()
    assert differing == [5] and torch.isclose(
        slowed.speeds(0)[5] * 21, torch.tensor(0.9 * 2 * torch.pi).double()
    )
    assert torch.equal(plain.speeds(1), slowed.speeds(1))


def test_theta_stretches_its_own_axis() -> None:
    plain, stretched = Frequencies(24), Frequencies(24, (1e4, 1e5, 1e4))
    assert torch.equal(plain.speeds(0), stretched.speeds(0)) and torch.equal(
        plain.speeds(2), stretched.speeds(2)
    )
    assert (stretched.speeds(1)[1:] < plain.speeds(1)[1:]).all() and stretched.speeds(1)[0] == 1
