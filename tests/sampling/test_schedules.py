from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wancore.errors import InvalidInput
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.diffusers_schedules import flow_euler, flow_unipc
from wancore.sampling.schedules import dpmpp, explicit, listed, shifted, uniform, unipc
from wancore.sampling.solver import Schedule

steps_ = st.integers(1, 100)
shifts = st.floats(0.5, 20)


@pytest.mark.parametrize("make", [unipc, dpmpp, uniform, flow_euler, flow_unipc])
@settings(deadline=None, max_examples=40)
@given(steps=steps_, shift=shifts)
def test_levels_fall_to_zero_and_the_model_is_shown_0_to_1000(make, steps, shift):
    schedule = make(steps, shift)
    assert len(schedule) == steps
    assert schedule.sigmas.dtype == torch.float32
    assert (schedule.sigmas.diff() < 0).all()
    assert schedule.sigmas[0] <= 1
    assert schedule.sigmas[-1] == 0
    assert schedule.timesteps.min() >= 0
    assert schedule.timesteps.max() <= 1000
    assert (schedule.timesteps.double() - 1000 * schedule.sigmas[:-1].double()).abs().max() < 1.001


@settings(deadline=None, max_examples=40)
@given(steps=steps_, shift=shifts)
def test_integer_timesteps_are_the_exact_levels_truncated(steps, shift):
    for schedule, first in ((unipc(steps, shift), np.float32(0.999)), (dpmpp(steps, shift), 1.0)):
        even = [float(first) * (steps - i) / steps for i in range(steps)]
        exact = np.array([1000 * shift * x / (1 + (shift - 1) * x) for x in even])
        assert schedule.timesteps.dtype == torch.int64
        # on an integer, to within rounding, either side is a fair reading of the formula
        settled = np.abs(exact - np.round(exact)) > 1e-9
        assert (schedule.timesteps.numpy()[settled] == np.floor(exact)[settled]).all()


def test_wan_starts_where_its_released_code_starts():
    assert unipc(50, 5.0).timesteps[0] == 999
    assert dpmpp(50, 5.0).timesteps[0] == 1000
    assert dpmpp(50, 5.0).sigmas[0] == 1


def test_four_uniform_steps_at_shift_5_are_those_of_the_distilled_loras():
    schedule = uniform(4, 5.0)
    torch.testing.assert_close(schedule.sigmas, torch.tensor([1, 0.9375, 5 / 6, 0.625, 0]))
    torch.testing.assert_close(schedule.sigmas, listed((1000, 750, 500, 250), 5.0).sigmas)


def test_diffusers_euler_shifts_its_small_end_twice():
    expected = torch.tensor([1.0, 0.9097, 0.7173, 0.0244, 0.0])
    torch.testing.assert_close(flow_euler(4, 5.0).sigmas, expected, atol=1e-4, rtol=0)


@settings(deadline=None, max_examples=40)
@given(x=st.floats(0.0, 1.0), shift=shifts)
def test_shifts_multiply(x, shift):
    levels = np.array([x])
    np.testing.assert_allclose(shifted(shifted(levels, shift), 2.0), shifted(levels, 2 * shift), atol=1e-12)
    np.testing.assert_allclose(shifted(shifted(levels, shift), 1 / shift), levels, atol=1e-12)


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "4"])
@pytest.mark.parametrize("spec", SOLVERS, ids=lambda spec: spec.name)
def test_a_wrong_number_of_steps_is_refused(spec, steps):
    with pytest.raises(InvalidInput, match="steps"):
        spec.schedule(steps, 5.0)


@pytest.mark.parametrize("shift", [0.0, -3.0, float("nan"), float("inf")])
@pytest.mark.parametrize("spec", SOLVERS, ids=lambda spec: spec.name)
def test_a_wrong_shift_is_refused(spec, shift):
    with pytest.raises(InvalidInput, match="shift"):
        spec.schedule(4, shift)


def test_listed_levels_are_taken_as_they_are():
    schedule = explicit([1, 0.94, 0.73, 0.0])
    torch.testing.assert_close(schedule.sigmas, torch.tensor([1, 0.94, 0.73, 0.0]))
    assert schedule.timesteps.tolist() == [1000, 940, 730]


@pytest.mark.parametrize(
    "sigmas",
    [
        [],
        [0.0],
        [1.0],
        [1.0, 0.5],
        [1.0, 1.0, 0.0],
        [0.5, 0.7, 0.0],
        [1.2, 0.0],
        [1.0, -0.1, 0.0],
        ["1", 0],
        [True, 0],
    ],
)
def test_listed_levels_that_do_not_fall_to_zero_are_refused(sigmas):
    with pytest.raises(InvalidInput, match="sigmas"):
        explicit(sigmas)


def test_levels_too_close_for_float32_are_refused():
    with pytest.raises(InvalidInput, match="sigmas"):
        uniform(1000, 1e6)


def test_a_schedule_has_one_more_level_than_steps():
    with pytest.raises(ValueError, match="3 noise levels for 3 steps"):
        Schedule(torch.tensor([1.0, 0.5, 0.0]), torch.tensor([1000.0, 500.0, 0.0]))
