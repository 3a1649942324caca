"""RES 2M: a second-order exponential multistep solver (Zhang et al., 2023, arXiv:2308.02157).

It steps in t = -log(sigma), without the alpha = 1 - sigma of the flow, as in ComfyUI's `res_multistep`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wancore.sampling.schedules import checked_steps, schedule_of, shifted
from wancore.sampling.solver import Draw, Schedule

TRAINING_POINTS = 1000
LOWEST = 0.003 / 1.002


def training_grid(steps: int, shift: float) -> Schedule:
    """`steps` of 1000 even levels from 1 to 0.003, shifted, then 0; all in float32."""
    checked_steps(steps, TRAINING_POINTS)
    grid = torch.linspace(1, LOWEST, TRAINING_POINTS).numpy()
    chosen = [round(i * (TRAINING_POINTS / steps)) for i in range(steps)]
    return schedule_of(shifted(grid[chosen], shift), "float")


class ResMultistep:
    """The first step, and the one to level 0, are Euler's."""

    def __init__(self, schedule: Schedule) -> None:
        self.sigmas: list[float] = schedule.sigmas.tolist()
        self.before: Tensor | None = None  # the clean latent one step earlier

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        sigma, following = self.sigmas[i], self.sigmas[i + 1]
        clean = x - sigma * velocity
        before, self.before = self.before, clean
        if before is None or following == 0:
            return x + (following - sigma) * velocity
        h = math.log(sigma / following)
        ratio = math.log(sigma / self.sigmas[i - 1]) / h  # the step before over this one, negative
        first = math.expm1(-h) / -h
        second = (first - 1) / -h
        past = second / ratio
        return math.exp(-h) * x + h * ((first - past) * clean + past * before)
