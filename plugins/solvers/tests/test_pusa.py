from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wancore_solvers.pusa import PusaFrames, PusaNoise

from wancore.errors import InvalidInput
from wancore.sampling.euler import Euler
from wancore.sampling.hooks import Step
from wancore.sampling.noise import noised
from wancore.sampling.schedules import uniform

FRAMES = 4
SHAPE = (3, FRAMES, 2, 2)


def noise(seed):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def step(index, count, sigma, next_sigma):
    return Step(index, count, sigma, next_sigma, 1000 * sigma, noise(0))


@settings(deadline=None, max_examples=25)
@given(steps=st.integers(1, 20), shift=st.floats(1, 12), clean=st.sets(st.integers(0, FRAMES - 1)))
def test_clean_frames_stay_and_the_others_take_eulers_steps(steps, shift, clean):
    schedule = uniform(steps, shift)
    pusa, euler = PusaFrames(schedule, FRAMES, dict.fromkeys(clean, 0.0)), Euler(schedule)
    x = start = noise(1)
    plain = x
    for i in range(steps):
        x, plain = (solver.step(i, x0, noise(i), torch.zeros) for solver, x0 in ((pusa, x), (euler, plain)))
    for frame in range(FRAMES):
        expected = start if frame in clean else plain
        torch.testing.assert_close(x[:, frame], expected[:, frame])


def test_the_model_is_shown_a_share_of_the_timestep():
    schedule = uniform(5, 3.0)
    rows = PusaFrames(schedule, FRAMES, {0: 0.0, 2: 0.4}).rows
    assert len(rows) == 5
    assert torch.equal(rows.timesteps[:, 1], schedule.timesteps)
    torch.testing.assert_close(rows.timesteps[:, 2], 0.4 * schedule.timesteps)
    assert (rows.timesteps[:, 0] == 0).all()
    assert rows.update.tolist() == [[False, True, True, True]] * 5
    assert rows.valid == ((0, FRAMES),) * 5


def test_a_scaled_frame_moves_by_the_step_nearest_to_its_own_timestep():
    schedule = uniform(4, 1.0)  # 1000, 750, 500, 250
    pusa = PusaFrames(schedule, FRAMES, {1: 0.7})  # 700 is nearest to 750
    moved = pusa.step(0, torch.zeros(SHAPE), torch.ones(SHAPE), torch.zeros)
    torch.testing.assert_close(moved[:, 1], torch.full((3, 2, 2), -0.25 * 0.7))


def test_given_frames_are_noised_before_every_call_in_their_order():
    drawn = []

    def draw(shape):
        drawn.append(noise(len(drawn) + 10).reshape(shape))
        return drawn[-1]

    hooks, x = PusaNoise({3: 0.5, 0: 0.2, 1: 0.0}), noise(1)
    started = hooks.start(x, draw, step(0, 2, 0.9, 0.6))
    assert len(drawn) == 2
    torch.testing.assert_close(started[:, 3], noised(x, drawn[0], 0.45)[:, 3])
    torch.testing.assert_close(started[:, 0], noised(x, drawn[1], 0.18)[:, 0])
    assert torch.equal(started[:, 1:3], x[:, 1:3])
    after = hooks.after_step(x, draw, step(0, 2, 0.9, 0.6))
    torch.testing.assert_close(after[:, 3], noised(x, drawn[2], 0.3)[:, 3])
    assert hooks.after_step(x, draw, step(1, 2, 0.6, 0.0)) is x
    assert len(drawn) == 4


@pytest.mark.parametrize("multipliers", [{4: 0.5}, {-1: 0.5}, {0: 1.5}, {0: -0.1}])
def test_a_wrong_frame_or_multiplier_is_refused(multipliers):
    with pytest.raises(InvalidInput, match="multipliers"):
        PusaFrames(uniform(4, 1.0), FRAMES, multipliers)
