from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling.flows import gaussian, some_noise
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.frames import PerFrame
from wancore.sampling.noise import NoiseSource
from wancore.sampling.schedules import unipc
from wancore.sampling.unipc import UniPC

FRAMES = 2  # of `some_noise`


@pytest.mark.parametrize("spec", [s for s in SOLVERS if s.name != "lcm"], ids=lambda spec: spec.name)
def test_frames_in_step_move_as_one_latent(spec):
    schedule = spec.schedule(6, 5.0)
    whole, frames = spec.make(schedule), PerFrame(schedule, spec.make, FRAMES)
    x = y = some_noise(1)
    for i, sigma in enumerate(schedule.sigmas[:-1].tolist()):
        x = whole.step(i, x, gaussian(0.5)(x, sigma), torch.zeros)
        y = frames.step([True] * FRAMES, y, gaussian(0.5)(y, sigma), torch.zeros)
        torch.testing.assert_close(x, y)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, FRAMES - 1), max_size=12))
def test_a_frame_moves_only_when_it_is_updated(order):
    schedule = unipc(8, 5.0)
    frames, x = PerFrame(schedule, UniPC, FRAMES), some_noise(1)
    for chosen in order:
        if frames.done[chosen] == len(schedule):
            continue
        sigmas = schedule.sigmas[torch.tensor(frames.done)].view(-1, 1, 1)
        moved = frames.step([f == chosen for f in range(FRAMES)], x, x / sigmas.clamp_min(0.1), torch.zeros)
        still = [f for f in range(FRAMES) if f != chosen]
        assert torch.equal(moved[:, still], x[:, still])
        assert not torch.equal(moved[:, chosen], x[:, chosen])
        x = moved


def test_an_interval_of_frames_is_stepped_at_its_place():
    schedule = unipc(4, 5.0)
    frames, x = PerFrame(schedule, UniPC, 5), some_noise(1)
    frames.step([False, True], x, x, NoiseSource(0).draw, first=2)
    assert frames.done == [0, 0, 0, 1, 0]
