"""Noise levels of ComfyUI-WanVideoWrapper (Apache-2.0) where they differ from the canonical ones.

Its UniPC and DPM++ shift the first level twice, its Euler and LCM (diffusers') the last one.
"""

from __future__ import annotations

import numpy as np

from wancore.sampling.diffusers_schedules import flow_euler_levels
from wancore.sampling.schedules import LAST_TIMESTEP, Levels, evenly, schedule_of, shifted
from wancore.sampling.solver import Schedule
from wancore_solvers.beta import beta_schedule


def flow(steps: int, shift: float) -> Schedule:
    return schedule_of(flow_levels(steps, shift), "integer")


def flow_beta(steps: int, shift: float) -> Schedule:
    return beta_schedule(flow_levels(steps, shift), "integer")


def flow_levels(steps: int, shift: float) -> Levels:
    """From the shifted 0.999 to 0 evenly, and shifted again; the first shift is in float32."""
    first = float(shifted(np.array([LAST_TIMESTEP], dtype=np.float32), shift)[0])
    return shifted(evenly(first, 0.0, steps), shift)


def euler_beta(steps: int, shift: float) -> Schedule:
    return beta_schedule(flow_euler_levels(steps, shift), "float")
