"""diffusers' flow-matching schedulers as a second opinion on the same noise levels."""

from __future__ import annotations

import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchLCMScheduler,
    UniPCMultistepScheduler,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling.flows import gaussian, path, some_noise
from wancore.sampling.diffusers_schedules import flow_euler, flow_unipc
from wancore.sampling.dpmpp import DPMPlusPlus2M
from wancore.sampling.euler import Euler
from wancore.sampling.lcm import LCM
from wancore.sampling.unipc import UniPC


def unipc_scheduler(shift):
    return UniPCMultistepScheduler(
        use_flow_sigmas=True,
        prediction_type="flow_prediction",
        flow_shift=shift,
        solver_order=2,
        solver_type="bh2",
    )


def dpmpp_scheduler(shift):
    return DPMSolverMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=shift, final_sigmas_type="zero"
    )


def their_path(scheduler, schedule, velocity, noise, generator=None):
    """Their solver on our levels; timesteps 0, 1, .. only tell it which step it is at."""
    scheduler.set_timesteps(len(schedule))
    scheduler.sigmas = schedule.sigmas.clone()
    scheduler.timesteps = torch.arange(len(schedule), dtype=torch.float32)
    scheduler.set_begin_index(0)
    options = {} if generator is None else {"generator": generator}
    latents = [noise]
    for t, sigma in zip(scheduler.timesteps, schedule.sigmas, strict=False):
        x = latents[-1]
        latents.append(scheduler.step(velocity(x, float(sigma)), t, x, return_dict=False, **options)[0])
    return latents[1:]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (UniPC, unipc_scheduler),
        (DPMPlusPlus2M, dpmpp_scheduler),
        (Euler, lambda shift: FlowMatchEulerDiscreteScheduler(shift=shift)),
    ],
)
@settings(deadline=None, max_examples=20)
@given(steps=st.integers(1, 30), shift=st.floats(1, 12), seed=st.integers(0, 99))
def test_deterministic_solvers_agree(ours, theirs, steps, shift, seed):
    schedule, noise = flow_unipc(steps, shift), some_noise(seed)
    expected = their_path(theirs(shift), schedule, gaussian(0.5), noise)
    for ours_x, their_x in zip(path(ours, schedule, gaussian(0.5), noise), expected, strict=True):
        torch.testing.assert_close(ours_x, their_x, atol=5e-5, rtol=1e-5)


@settings(deadline=None, max_examples=20)
@given(steps=st.integers(1, 20), seed=st.integers(0, 99))
def test_lcm_agrees_draw_by_draw(steps, seed):
    schedule, noise = flow_euler(steps, 5.0), some_noise(seed)
    generator = torch.Generator().manual_seed(seed)
    expected = their_path(FlowMatchLCMScheduler(shift=5.0), schedule, gaussian(0.5), noise, generator)
    for ours_x, their_x in zip(path(LCM, schedule, gaussian(0.5), noise, seed), expected, strict=True):
        torch.testing.assert_close(ours_x, their_x, atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=30)
@given(steps=st.integers(1, 60), shift=st.floats(1, 12))
def test_schedules_are_theirs(steps, shift):
    for ours, theirs in (
        (flow_unipc(steps, shift), unipc_scheduler(shift)),
        (flow_euler(steps, shift), FlowMatchEulerDiscreteScheduler(shift=shift)),
    ):
        theirs.set_timesteps(steps)
        torch.testing.assert_close(ours.sigmas, theirs.sigmas, atol=1e-6, rtol=0)
        assert ours.timesteps.dtype == theirs.timesteps.dtype
        torch.testing.assert_close(ours.timesteps, theirs.timesteps, atol=1e-3, rtol=0)
