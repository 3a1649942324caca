"""Noise levels as diffusers' flow-matching schedulers make them by default.

Model pipelines that were released for diffusers use these numbers, which differ from the canonical
ones of `schedules`.
"""

from __future__ import annotations

import numpy as np

from wancore.sampling.schedules import Levels, checked_steps, evenly, schedule_of, shifted
from wancore.sampling.solver import Schedule


def flow_euler(steps: int, shift: float) -> Schedule:
    """FlowMatchEulerDiscreteScheduler: float timesteps; see `flow_euler_levels`."""
    return schedule_of(flow_euler_levels(steps, shift), "float")


def flow_euler_levels(steps: int, shift: float) -> Levels:
    """`steps` points from 1 to the shifted 0.001, both included, and shifted again.

    The last level is small, so that the last step does little; with 4 steps and shift 5 they are
    1, 0.910, 0.717, 0.024.
    """
    smallest = float(shifted(np.array([0.001], dtype=np.float32), shift)[0])
    return shifted(np.linspace(1000.0, smallest * 1000, checked_steps(steps)) / 1000, shift)


def flow_unipc(steps: int, shift: float) -> Schedule:
    """UniPCMultistepScheduler with flow sigmas: 1 to 0.001 evenly, shifted; integer timesteps.

    A first level of 1, where log(1 - sigma) is infinite, is lowered by 1e-6.
    """
    levels = shifted(evenly(1.0, 1 / 1000, steps), shift)
    if abs(levels[0] - 1) < 1e-6:
        levels[0] -= 1e-6
    return schedule_of(levels, "integer")
