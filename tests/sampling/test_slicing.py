from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wancore.errors import InvalidInput
from wancore.sampling.schedules import uniform, unipc
from wancore.sampling.slicing import dense_tail, high_noise, part, strength_start


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_two_parts_make_the_whole(data):
    whole = unipc(data.draw(st.integers(2, 40)), data.draw(st.floats(1, 12)))
    cut = data.draw(st.integers(1, len(whole) - 1))
    head, tail = part(whole, end=cut), part(whole, start=cut)
    assert head.sigmas[-1] == tail.sigmas[0] > 0
    assert torch.equal(torch.cat([head.sigmas, tail.sigmas[1:]]), whole.sigmas)
    assert torch.equal(torch.cat([head.timesteps, tail.timesteps]), whole.timesteps)
    assert head.planned == tail.planned == len(whole)


@settings(deadline=None, max_examples=40)
@given(low=st.floats(0.05, 0.45), high=st.floats(0.55, 0.95), steps=st.integers(10, 60))
def test_noise_levels_bound_a_part(low, high, steps):
    whole = uniform(steps, 1.0)
    chosen = part(whole, start=high, end=low)
    assert chosen.sigmas[0] <= high
    assert chosen.sigmas[-2] >= low
    before = whole.sigmas[whole.sigmas > chosen.sigmas[0]]
    assert (before > high).all()
    assert chosen.sigmas[-1] < low


@pytest.mark.parametrize(
    ("start", "end"), [(5, 5), (6, 5), (-1, None), (8, None), (0, 0), (0, 9), (0.0, None), (0.2, 0.7)]
)
def test_a_part_without_steps_is_refused(start, end):
    with pytest.raises(InvalidInput, match=r"start_step|end_step"):
        part(uniform(8, 1.0), start, end)


@pytest.mark.parametrize(
    ("strength", "start"), [(1, 0), (1.0, 0), (0.6, 7), (0.99, 0), (0.0, 19), (0.05, 18)]
)
def test_strength_starts_one_step_early(strength, start):
    assert strength_start(20, strength) == start


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_outside_0_to_1_is_refused(strength):
    with pytest.raises(InvalidInput, match="strength"):
        strength_start(20, strength)


@settings(deadline=None, max_examples=40)
@given(steps=st.integers(1, 100), shift=st.floats(1, 12))
def test_a_dense_tail_replaces_the_lower_half(steps, shift):
    whole = unipc(steps, shift)
    dense = dense_tail(whole)
    half = float(whole.timesteps.max()) / 2
    upper = whole.timesteps[whole.timesteps > half].float().unique()
    tail = dense.timesteps[len(upper) :]
    assert torch.equal(dense.timesteps[: len(upper)], upper.flip(0))
    assert len(tail) == min(max(int(0.2 * steps), 3), 15)
    torch.testing.assert_close(tail.diff(), torch.full((len(tail) - 1,), -half / len(tail)))
    assert dense.sigmas[-1] == 0
    assert dense.planned == steps


def test_the_high_noise_expert_takes_the_timesteps_from_the_boundary_up():
    schedule = unipc(40, 5.0)
    high = high_noise(schedule, 0.9)
    assert high.tolist() == [t >= 900 for t in schedule.timesteps.tolist()]
    assert high[0]
    assert not high[-1]
