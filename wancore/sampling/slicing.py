"""Parts of a schedule: some steps of it, a given strength, a denser tail, a switch of experts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from wancore.errors import InvalidInput
from wancore.sampling.solver import Schedule

#: A place in a schedule: a step index (int) or a noise level (float).
Place = int | float


def part(schedule: Schedule, start: Place = 0, end: Place | None = None) -> Schedule:
    """The steps from `start` to `end` of a schedule; it ends at a level above 0 if the end is cut off.

    An int counts steps: `start` is the first step, `end` the first one left out. A float is a noise
    level, 0..1: the part starts at the first level that is not above `start`, and the step that
    starts at the last level that is not below `end` is its last one. None: to the end.
    Raises InvalidInput for a part without steps.
    """
    first = start_index(schedule, start)
    stop = end_index(schedule, end)
    if first >= stop:
        raise InvalidInput("end_step", end, f"a place after start_step ({start!r})")
    return replace(
        schedule,
        sigmas=schedule.sigmas[first : stop + 1],
        timesteps=schedule.timesteps[first:stop],
        noise_scale=schedule.noise_scale if first == 0 else 1.0,
        whole=schedule.planned,
    )


def start_index(schedule: Schedule, start: Place) -> int:
    count = len(schedule)
    index = start if isinstance(start, int) else int((schedule.sigmas > start).sum())
    if not 0 <= index < count:
        raise InvalidInput("start_step", start, f"a step in 0..{count - 1} or a noise level of the schedule")
    return index


def end_index(schedule: Schedule, end: Place | None) -> int:
    count = len(schedule)
    if end is None:
        return count
    index = end if isinstance(end, int) else min(int((schedule.sigmas >= end).sum()), count)
    if not 1 <= index <= count:
        raise InvalidInput("end_step", end, f"a step in 1..{count} or a noise level of the schedule")
    return index


def strength_start(steps: int, strength: float) -> int:
    """The first step of a run that changes a given latent with `strength`, 0..1 (1: regenerates it all).

    One step earlier than steps * (1 - strength), as in the released workflows.
    """
    if not 0 <= strength <= 1:
        raise InvalidInput("strength", strength, "a number in 0..1")
    return 0 if strength == 1 else max(steps - int(steps * strength) - 1, 0)


def dense_tail(schedule: Schedule) -> Schedule:
    """More steps at low noise: what lies below half of the first timestep is replaced by m even steps to 0.

    m is a fifth of the steps, at least 3 and at most 15. Levels are then timestep / 1000, so that steps
    of one integer timestep become one step.
    """
    shown = schedule.timesteps.to(torch.float32).unique_consecutive()
    half = float(shown.max()) * 0.5
    count = min(max(int(len(schedule) * 0.2), 3), 15)
    tail = torch.from_numpy(np.linspace(half, 0, count, endpoint=False, dtype=np.float32))
    timesteps = torch.cat([shown[shown > half], tail])
    sigmas = torch.cat([timesteps / 1000, torch.zeros(1)])
    return replace(schedule, sigmas=sigmas, timesteps=timesteps, whole=schedule.planned)


def high_noise(schedule: Schedule, boundary: float) -> Tensor:
    """[n] bool: the steps of the high-noise expert, whose timestep is at least 1000 * boundary (0..1)."""
    return schedule.timesteps >= boundary * 1000
