"""The order of the method, on an equation whose solution is known."""

from __future__ import annotations

import math

import pytest
import torch
from film_look.solver import AB2

from wancore.sampling.schedules import uniform
from wancore.sampling.solver import Schedule


def error(schedule: Schedule) -> float:
    """dx/dsigma = x from 1 at sigma 1 down to sigma 0."""
    solver, x = AB2(schedule), torch.ones(1, dtype=torch.float64)
    for i in range(len(schedule)):
        x = solver.step(i, x, x, torch.randn)
    return abs(x.item() - math.exp(-1))


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_half_the_step_a_quarter_of_the_error(shift):
    coarse, fine = (error(uniform(steps, shift)) for steps in (40, 80))
    assert 3.5 < coarse / fine < 4.5


def test_a_constant_velocity_is_followed_exactly():
    schedule = uniform(5, 5.0)
    solver, x = AB2(schedule), torch.ones(2)
    for i in range(5):
        x = solver.step(i, x, torch.ones(2), torch.randn)
    assert torch.allclose(x, torch.zeros(2), atol=1e-6)
