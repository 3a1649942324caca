from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wancore_solvers import rcm
from wancore_solvers.beta import beta_spaced
from wancore_solvers.specs import SOLVERS

from wancore.errors import InvalidInput
from wancore.sampling.builtin import SOLVERS as CORE
from wancore.sampling.registry import find_solver
from wancore.sampling.schedules import unipc_levels

MOST = {"causvid": 9, "longcat-distill": 50, "rcm": 4, "rcm-i2v": 4, "wrapper-rcm": 4}
EXACTLY_4 = ("causvid-4", "distill-4")
every_solver = pytest.mark.parametrize("spec", SOLVERS, ids=lambda spec: spec.name)


def solver(name):
    return find_solver(name, (*CORE, *SOLVERS))


def any_steps(data, name):
    return 4 if name in EXACTLY_4 else data.draw(st.integers(1, MOST.get(name, 60)))


@every_solver
@settings(deadline=None, max_examples=20)
@given(data=st.data(), shift=st.floats(0.5, 16))
def test_levels_fall_and_the_model_is_shown_0_to_1000(spec, data, shift):
    steps = any_steps(data, spec.name)
    schedule = spec.schedule(steps, shift)
    assert len(schedule) == steps
    assert (schedule.sigmas.diff() < 0).all()
    assert schedule.sigmas[-1] == (1e-6 if spec.name == "deis" else 0)
    assert 0 <= schedule.timesteps.min() <= schedule.timesteps.max() <= 1000
    assert (schedule.timesteps.double() - 1000 * schedule.sigmas[:-1].double()).abs().max() < 1.001


@every_solver
def test_a_number_of_steps_that_a_solver_does_not_have_is_refused(spec):
    too_many = MOST.get(spec.name, 1000 if "multistep" in spec.name or "er-sde" in spec.name else 4) + 1
    wrong = [0, too_many] if spec.name in {*MOST, *EXACTLY_4, "res-multistep", "er-sde"} else [0]
    for steps in wrong:
        with pytest.raises(InvalidInput, match="steps"):
            spec.schedule(steps, 5.0)


@pytest.mark.parametrize("name", ["causvid", "causvid-4", "distill-4"])
def test_distilled_levels_are_not_for_listing(name):
    assert not solver(name).free_levels


def test_names_are_unique():
    names = [spec.name for spec in (*CORE, *SOLVERS)]
    assert len(set(names)) == len(names)


@settings(deadline=None, max_examples=30)
@given(steps=st.integers(2, 60), shift=st.floats(1, 12))
def test_beta_spacing_keeps_the_ends_and_crowds_towards_them(steps, shift):
    levels = unipc_levels(steps, shift)
    spaced = beta_spaced(levels)
    assert len(spaced) == steps
    np.testing.assert_allclose(spaced[[0, -1]], levels[[0, -1]], atol=1e-12)
    np.testing.assert_allclose(spaced + spaced[::-1], spaced[0] + spaced[-1], atol=1e-9)
    if steps >= 6:
        gaps = -np.diff(spaced)
        assert gaps[0] < gaps[len(gaps) // 2]


def test_the_wrapper_starts_higher_than_the_canonical_schedules():
    for name in ("unipc", "unipc-beta"):
        assert solver(f"wrapper-{name}").schedule(8, 5.0).sigmas[0] > solver(name).schedule(8, 5.0).sigmas[0]


def test_the_wrapper_ends_lower_than_the_canonical_euler():
    assert solver("wrapper-euler").schedule(4, 5.0).sigmas[3] == pytest.approx(0.0244, abs=1e-4)
    assert solver("euler").schedule(4, 5.0).sigmas[3] == pytest.approx(0.625)


@pytest.mark.parametrize(
    ("make", "tangent"), [(rcm.text_to_video, 80), (rcm.image_to_video, 200), (rcm.wrapper, 120)]
)
def test_rcm_runs_through_its_angles(make, tangent):
    schedule = make(4, 1.0)
    expected = torch.tensor([np.arctan(tangent), 1.5, 1.4, 1.0, 0.0], dtype=torch.float32)
    torch.testing.assert_close(rcm.angles(schedule.sigmas), expected, atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=30)
@given(angle=st.floats(0, np.pi / 2))
def test_trigflow_and_the_flow_convert_into_each_other(angle):
    total = np.cos(angle) + np.sin(angle)
    sigma = torch.tensor(np.sin(angle) / total)
    assert float(rcm.angles(sigma)) == pytest.approx(angle, abs=1e-6)
    assert float(rcm.trig_scale(sigma)) == pytest.approx(total, abs=1e-6)


def test_rcm_starts_from_as_much_noise_as_its_source():
    assert rcm.text_to_video(4, 1.0).noise_scale == pytest.approx(80 / 81)
    angle = np.arctan(120)
    assert rcm.wrapper(4, 1.0).noise_scale == pytest.approx(1 / (np.cos(angle) + np.sin(angle)))
