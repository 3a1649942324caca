from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling.flows import SHAPE, gaussian, gaussian_end, path, some_noise, straight
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.dpmpp import DPMPlusPlus2M
from wancore.sampling.euler import Euler
from wancore.sampling.lcm import LCM
from wancore.sampling.noise import noised
from wancore.sampling.schedules import explicit, uniform, unipc
from wancore.sampling.slicing import part
from wancore.sampling.unipc import UniPC

DETERMINISTIC = (Euler, UniPC, DPMPlusPlus2M)
every_solver = pytest.mark.parametrize("spec", SOLVERS, ids=lambda spec: spec.name)


@every_solver
@settings(deadline=None, max_examples=25)
@given(steps=st.integers(1, 30), shift=st.floats(0.5, 16), seed=st.integers(0, 99))
def test_the_clean_latent_is_found_when_there_is_only_one(spec, steps, shift, seed):
    clean = some_noise(seed + 1000)
    end = path(spec.make, spec.schedule(steps, shift), straight(clean), some_noise(seed))[-1]
    torch.testing.assert_close(end, clean, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("make", DETERMINISTIC)
@settings(deadline=None, max_examples=25)
@given(steps=st.integers(1, 30), shift=st.floats(0.5, 16), seed=st.integers(0, 99))
def test_a_straight_path_is_followed_exactly(make, steps, shift, seed):
    clean, noise = some_noise(seed + 1000), some_noise(seed)
    schedule = uniform(steps, shift)
    for x, sigma in zip(path(make, schedule, straight(clean), noise), schedule.sigmas[1:], strict=True):
        torch.testing.assert_close(x, noised(clean, noise, float(sigma)), atol=2e-5, rtol=1e-5)


@every_solver
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_levels_of_exactly_1_and_0_are_finite(spec, steps):
    schedule = explicit([1 - i / steps for i in range(steps + 1)])
    latents = path(spec.make, schedule, gaussian(0.5), some_noise(1))
    assert all(torch.isfinite(x).all() for x in latents)


@every_solver
@pytest.mark.parametrize("cut", [(0, 4), (4, 8), (2, 3)])
def test_a_part_of_a_schedule_ends_at_its_own_level(spec, cut):
    schedule = part(spec.schedule(8, 5.0), *cut)
    start = float(schedule.sigmas[0]) * some_noise(1)
    end = path(spec.make, schedule, straight(torch.zeros(SHAPE)), start)[-1]
    assert float(end.std()) == pytest.approx(float(schedule.sigmas[-1]), rel=0.5, abs=1e-5)


@pytest.mark.parametrize("make", DETERMINISTIC)
def test_a_part_of_a_straight_path_is_followed_exactly(make):
    schedule, clean, noise = part(uniform(8, 5.0), 2, 6), some_noise(5), some_noise(1)
    start = noised(clean, noise, float(schedule.sigmas[0]))
    end = path(make, schedule, straight(clean), start)[-1]
    torch.testing.assert_close(end, noised(clean, noise, float(schedule.sigmas[-1])))


@every_solver
def test_a_run_does_not_depend_on_the_run_before(spec):
    schedule = spec.schedule(6, 5.0)
    first = path(spec.make, schedule, gaussian(0.5), some_noise(1))
    second = path(spec.make, schedule, gaussian(0.5), some_noise(1))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def error(make, steps: int) -> float:
    """How far from the truth a run from level 0.95 to 0.05, where the flow is smooth, ends."""
    schedule = explicit([0.95 - 0.9 * i / steps for i in range(steps)] + [0.05, 0.0])
    schedule = part(schedule, end=steps)
    noise = some_noise(2).double()
    end = path(make, schedule, gaussian(2.0), noise)[-1]
    return float((end - gaussian_end(noise, 2.0, 0.95, 0.05)).abs().max())


@pytest.mark.parametrize(("make", "order"), [(Euler, 1), (DPMPlusPlus2M, 2), (UniPC, 2)])
def test_more_steps_help_as_the_order_says(make, order):
    assert error(make, 5) / error(make, 160) > 32 ** (0.9 * order)


def test_multistep_solvers_beat_euler():
    assert error(UniPC, 10) < error(DPMPlusPlus2M, 10) < error(Euler, 10)


def test_lcm_draws_at_every_step_the_last_one_included():
    drawn = []

    def draw(shape):
        drawn.append(shape)
        return torch.ones(shape)

    schedule, x = uniform(3, 1.0), some_noise(1)
    solver = LCM(schedule)
    for i in range(3):
        x = solver.step(i, x, torch.zeros_like(x), draw)
    assert len(drawn) == 3


def test_lcm_keeps_the_share_of_fresh_noise_of_the_next_level():
    schedule, clean = uniform(4, 5.0), some_noise(3)
    solver = LCM(schedule)
    x = solver.step(0, some_noise(4), some_noise(4) - clean, torch.zeros)
    torch.testing.assert_close(x, (1 - schedule.sigmas[1]) * clean)


def test_sliced_unipc_lowers_its_order_at_its_own_last_step():
    schedule = part(unipc(8, 5.0), end=4)
    solver = UniPC(schedule)
    orders = []
    x = some_noise(1)
    for i in range(4):
        x = solver.step(i, x, gaussian(0.5)(x, float(schedule.sigmas[i])), torch.zeros)
        orders.append(solver.order)
    assert orders == [1, 2, 2, 1]
