"""The noise levels of the core solvers, and the pieces that other schedules are made of.

Levels are float64 arrays until the last moment: integer timesteps are truncated, and a level that
falls on an integer must land on the same side as in the code that trained and released the models.
The shift is applied once. `wan/utils/fm_solvers*.py` of Wan-Video/Wan2.1 (Apache-2.0) is the source
of `unipc` and `dpmpp`; `uniform` is the rectified-flow grid that step-distilled models use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch

from wancore.errors import InvalidInput
from wancore.sampling.solver import Schedule

Levels = np.ndarray  # [n] float64, falling, 0..1: the noise level before each step
Shown = Literal["integer", "float"]  # what the model is shown: int(1000 sigma) or 1000 sigma

#: The largest level that 1000 training timesteps counted from 0 can express, in float32.
LAST_TIMESTEP = float(np.float32(0.999))


def unipc(steps: int, shift: float) -> Schedule:
    """Wan's UniPC levels: 0.999 to 0 evenly, shifted, ending in 0; integer timesteps."""
    return schedule_of(unipc_levels(steps, shift), "integer")


def dpmpp(steps: int, shift: float) -> Schedule:
    """Wan's DPM++ levels: 1 to 0 evenly, shifted, ending in 0; integer timesteps."""
    return schedule_of(uniform_levels(steps, shift), "integer")


def uniform(steps: int, shift: float) -> Schedule:
    """1 to 0 evenly, shifted, ending in 0; timesteps 1000 sigma.

    Four steps at shift 5 are the 1, 0.9375, 0.8333, 0.625 of the step-distilled LoRAs.
    """
    return schedule_of(uniform_levels(steps, shift), "float")


def listed(timesteps: Sequence[float], shift: float) -> Schedule:
    """Shifted levels of listed training timesteps (falling, 1000..0), then 0: LightX2V's distilled steps."""
    return schedule_of(shifted(np.array(timesteps, dtype=np.float64) / 1000, shift), "float")


def explicit(sigmas: Sequence[float]) -> Schedule:
    """Levels as the user lists them, 0 at the end included; neither steps nor shift apply. Integer timesteps.

    Raises InvalidInput unless they are numbers in 0..1, falling, the last one 0.
    """
    accepted = "at least two falling numbers from at most 1 to 0, e.g. 1, 0.9, 0.6, 0"
    numbers = [s for s in sigmas if isinstance(s, (int, float)) and not isinstance(s, bool)]
    falls = all(after < before for before, after in pairwise(numbers))
    if len(numbers) != len(sigmas) or len(numbers) < 2 or not falls or numbers[0] > 1 or numbers[-1] != 0:
        raise InvalidInput("sigmas", list(sigmas), accepted)
    levels = torch.tensor(numbers, dtype=torch.float32)
    return Schedule(levels, (levels[:-1] * 1000).to(torch.int64))


def unipc_levels(steps: int, shift: float) -> Levels:
    return shifted(evenly(LAST_TIMESTEP, 0.0, steps), shift)


def uniform_levels(steps: int, shift: float) -> Levels:
    return shifted(evenly(1.0, 0.0, steps), shift)


def evenly(first: float, end: float, steps: int) -> Levels:
    """`steps` levels from `first` towards `end`, which is not one of them."""
    return np.linspace(first, end, checked_steps(steps) + 1)[:-1]


def shifted(levels: Levels, shift: float) -> Levels:
    """s x / (1 + (s - 1) x): moves levels towards noise for s > 1; 0 and 1 stay."""
    if not (math.isfinite(shift) and shift > 0):
        raise InvalidInput("shift", shift, "a number above 0")
    moved: Levels = shift * levels / (1 + (shift - 1) * levels)
    return np.minimum(moved, 1)  # rounding may lift a level of 1


def schedule_of(levels: Levels, shown: Shown, end: float = 0.0) -> Schedule:
    """The schedule that runs through `levels` to `end`."""
    sigmas = torch.from_numpy(np.append(levels, end).astype(np.float32))
    if shown == "integer":
        return Schedule(sigmas, torch.from_numpy((levels * 1000).astype(np.int64)))
    return Schedule(sigmas, sigmas[:-1] * 1000)


def checked_steps(steps: int, most: int | None = None) -> int:
    """`steps` if it is a whole number of at least 1 (and at most `most`); raises InvalidInput otherwise."""
    whole = isinstance(steps, int) and not isinstance(steps, bool)
    if not whole or steps < 1 or (most is not None and steps > most):
        raise InvalidInput("steps", steps, f"a whole number from 1{f' to {most}' if most else ''}")
    return steps
