from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wancore_solvers.deis import Deis, flow
from wancore_solvers.dpmpp_sde import DPMPlusPlus2MSDE
from wancore_solvers.er_sde import ErSde
from wancore_solvers.res_multistep import ResMultistep
from wancore_solvers.sa_ode import SaOdeStable
from wancore_solvers.specs import SOLVERS
from wancore_solvers.vibt import Vibt

from wancore.sampling.loop import denoise
from wancore.sampling.noise import NoiseSource, noised
from wancore.sampling.schedules import explicit, uniform
from wancore.sampling.slicing import dense_tail, part

SHAPE = (3, 2, 2, 2)
DETERMINISTIC = (Deis, ResMultistep, SaOdeStable)
DRAWS = {Deis: 0, ResMultistep: 0, SaOdeStable: 0, DPMPlusPlus2MSDE: 6, Vibt: 6, ErSde: 5}
every_spec = pytest.mark.parametrize("spec", SOLVERS, ids=lambda spec: spec.name)
every_solver = pytest.mark.parametrize("make", DRAWS)


def noise(seed):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def straight(clean):
    """The velocity to one clean latent."""
    return lambda x, step: (x - clean) / step.sigma


def curved(x, step):
    """The velocity to normally distributed data of deviation 0.5."""
    return x * (step.sigma - (1 - step.sigma) * 0.25) / (step.sigma**2 + (1 - step.sigma) ** 2 * 0.25)


def path(make, schedule, velocity, seed=1, draw=None):
    draw = draw or NoiseSource(seed).draw
    return [s.x for s in denoise(noise(seed), schedule, make(schedule), velocity, draw)]


def steps_for(name, steps):
    return 4 if name.endswith("-4") else min(steps, 4) if "rcm" in name else steps


@every_spec
@pytest.mark.parametrize("steps", [1, 2, 5, 9])
@pytest.mark.parametrize("shift", [1.0, 5.0, 12.0])
def test_every_run_ends_finite(spec, steps, shift):
    schedule = spec.schedule(
        4 if spec.name.endswith("-4") else min(steps, 4 if "rcm" in spec.name else 9), shift
    )
    for x in path(spec.make, schedule, curved):
        assert torch.isfinite(x).all()


@every_spec
def test_a_run_does_not_depend_on_the_run_before(spec):
    schedule = spec.schedule(steps_for(spec.name, 9), 5.0)
    for a, b in zip(path(spec.make, schedule, curved), path(spec.make, schedule, curved), strict=True):
        assert torch.equal(a, b)


@every_solver
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 12, 20])
def test_levels_of_exactly_1_and_0_are_finite(make, steps):
    schedule = explicit([1 - i / steps for i in range(steps + 1)])
    for chosen in (schedule, dense_tail(schedule)):
        assert all(torch.isfinite(x).all() for x in path(make, chosen, curved))


@every_solver
def test_draws_are_as_many_as_documented(make):
    drawn = []

    def draw(shape):
        drawn.append(shape)
        return torch.zeros(shape)

    path(make, uniform(6, 5.0), curved, draw=draw)
    assert drawn == [torch.Size(SHAPE)] * DRAWS[make]


@pytest.mark.parametrize("make", DETERMINISTIC)
@settings(deadline=None, max_examples=25)
@given(steps=st.integers(2, 30), shift=st.floats(1, 8))
def test_a_straight_path_is_followed(make, steps, shift):
    """SA-ODE only up to its damped end, which by design goes less far."""
    clean = noise(1000)
    schedule = part(uniform(steps + 1, shift), start=1)
    start = noised(clean, noise(1), float(schedule.sigmas[0]))
    velocity = straight(clean)
    solved = denoise(start, schedule, make(schedule), velocity, torch.zeros)
    for stepped in solved:
        if make is SaOdeStable and stepped.step.sigma < 0.15:
            break
        expected = noised(clean, noise(1), stepped.step.next_sigma)
        torch.testing.assert_close(stepped.x, expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("make", [DPMPlusPlus2MSDE, ErSde])
@settings(deadline=None, max_examples=25)
@given(steps=st.integers(1, 30), shift=st.floats(1, 12))
def test_stochastic_solvers_find_the_only_clean_latent(make, steps, shift):
    clean = noise(1000)
    end = path(make, uniform(steps, shift), straight(clean))[-1]
    torch.testing.assert_close(end, clean, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("make", [DPMPlusPlus2MSDE, ErSde])
def test_stochastic_solvers_leave_the_noise_of_their_level(make):
    """Towards a clean latent of zeros what is left is noise; its deviation is the level."""
    schedule = part(uniform(10, 3.0), end=8)
    wide = torch.randn(200, 200, generator=torch.Generator().manual_seed(3))
    solved = denoise(wide, schedule, make(schedule), lambda x, step: x / step.sigma, NoiseSource(5).draw)
    for stepped in solved:
        assert float(stepped.x.std()) == pytest.approx(stepped.step.next_sigma, rel=0.02)


def test_vibt_walks_the_integer_timesteps_to_minus_1():
    schedule = explicit([0.9, 0.5, 0.0])
    solver, x = Vibt(schedule), torch.zeros(SHAPE)
    ones = torch.ones(SHAPE)
    first = solver.step(0, x, ones, torch.zeros)
    second = solver.step(1, first, ones, torch.zeros)
    torch.testing.assert_close(first, -0.4 * ones)
    torch.testing.assert_close(second, (-0.4 - 0.501) * ones)


def test_vibt_ends_a_part_of_a_schedule_at_its_level():
    schedule = part(explicit([0.9, 0.5, 0.2, 0.0]), end=2)
    end = path(Vibt, schedule, lambda x, step: torch.ones_like(x), draw=torch.zeros)[-1]
    torch.testing.assert_close(end, noise(1) - 0.7)


@pytest.mark.parametrize(("steps", "uses_history"), [(3, False), (14, False), (15, True)])
def test_the_last_step_of_deis_uses_its_history_only_in_long_runs(steps, uses_history):
    schedule = flow(steps, 3.0)
    ends = []
    for history in (noise(7), noise(8)):
        solver = Deis(schedule)
        solver.before = history
        ends.append(solver.step(steps - 1, noise(1), noise(2), torch.zeros))
    assert torch.equal(*ends) != uses_history


def test_sa_ode_stabilises_by_the_length_of_the_whole_schedule():
    whole = uniform(20, 1.0)
    tail = part(whole, start=17)
    alone = explicit([*tail.sigmas[:-1].tolist(), 0.0])
    damped = path(SaOdeStable, tail, curved)[-1]
    plain = path(SaOdeStable, alone, curved)[-1]
    assert not torch.allclose(damped, plain)
