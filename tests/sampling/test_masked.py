from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling.flows import SHAPE, gaussian, some_noise
from wancore.sampling.hooks import NoHooks, Step
from wancore.sampling.loop import denoise
from wancore.sampling.masked import DifferentialMask, DualClock
from wancore.sampling.noise import noised
from wancore.sampling.schedules import unipc
from wancore.sampling.slicing import part
from wancore.sampling.start import StartFrom
from wancore.sampling.unipc import UniPC

ORIGINAL = some_noise(9)


def run(schedule, hooks):
    steps = denoise(
        some_noise(1),
        schedule,
        UniPC(schedule),
        lambda x, step: gaussian(0.5)(x, step.sigma),
        torch.zeros,
        hooks,
    )
    return [stepped.x for stepped in steps]


@settings(deadline=None, max_examples=20)
@given(steps=st.integers(1, 12))
def test_a_mask_of_ones_regenerates_everything(steps):
    schedule = unipc(steps, 5.0)
    masked = run(schedule, [DifferentialMask(ORIGINAL, torch.ones(SHAPE))])
    assert all(torch.equal(a, b) for a, b in zip(masked, run(schedule, []), strict=True))


def test_a_masked_place_is_let_go_when_its_share_of_the_run_is_done():
    schedule, mask = unipc(8, 5.0), torch.full(SHAPE, 0.4)
    after = run(schedule, [DifferentialMask(ORIGINAL, mask)])
    for j, x in enumerate(after):
        kept = noised(ORIGINAL, some_noise(1), float(schedule.sigmas[j + 1]))
        assert torch.equal(x, kept) == (j / 8 < 0.6)


def test_the_last_step_is_never_overwritten():
    schedule = unipc(4, 5.0)
    end = run(schedule, [DifferentialMask(ORIGINAL, torch.zeros(SHAPE))])[-1]
    assert not torch.allclose(end, ORIGINAL)


def test_a_region_follows_its_reference_until_it_is_released():
    schedule = part(unipc(8, 5.0), 2)
    region = torch.zeros(SHAPE)
    region[..., 0] = 1
    clock = DualClock(ORIGINAL, region, until=3)
    for j, x in enumerate(run(schedule, [clock])):
        reference = noised(ORIGINAL, some_noise(1), float(schedule.sigmas[j + 1]))
        assert torch.equal(x[..., 0], reference[..., 0]) == (j < 3)
        assert not torch.equal(x[..., 1], reference[..., 1])


def test_a_region_held_to_the_end_is_the_reference():
    schedule = unipc(4, 5.0)
    clock = DualClock(ORIGINAL, torch.ones(SHAPE), until=4)
    own = run(schedule, [clock])
    assert torch.equal(own[-1], ORIGINAL)
    given = run(schedule, [replace(clock, levels=tuple(schedule.sigmas.tolist()))])
    assert all(torch.equal(a, b) for a, b in zip(own, given, strict=True))


def first_step(timestep: float) -> Step:
    return Step(0, 4, timestep / 1000, 0.5, timestep, some_noise(1))


def test_a_dual_clock_starts_as_the_noised_reference_or_as_it_is():
    x, other = some_noise(2), some_noise(3)
    levels = (0.8, 0.5, 0.0)
    clock = DualClock(ORIGINAL, torch.ones(SHAPE), until=1, levels=levels, noise=other)
    assert torch.equal(clock.start(x, torch.zeros, first_step(800)), noised(ORIGINAL, other, 0.8))
    late = DualClock(ORIGINAL, torch.ones(SHAPE), until=1, levels=levels, from_reference=False)
    assert torch.equal(late.start(x, torch.zeros, first_step(800)), x)


def test_a_given_latent_is_noised_to_the_timestep_that_is_shown():
    start = StartFrom(ORIGINAL).start(some_noise(2), torch.zeros, first_step(600))
    assert torch.equal(start, noised(ORIGINAL, some_noise(1), 0.6))


def test_no_hooks_change_nothing():
    x, hooks = some_noise(2), NoHooks()
    for point in (hooks.start, hooks.model_input, hooks.after_step):
        assert point(x, torch.zeros, first_step(600)) is x
