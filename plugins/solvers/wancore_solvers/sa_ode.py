"""A stabilised Adams-Bashforth solver of the flow's ODE.

`sa_ode_stable` of eddyhhlure1Eddy/ode-ComfyUI-WanVideoWrapper (Apache-2.0). Above eight steps the
last part of the run, where multistep methods overshoot, is smoothed and damped.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wancore.sampling.schedules import checked_steps, schedule_of, shifted
from wancore.sampling.solver import Draw, Schedule

FEW_STEPS = 8  # up to here order 2 and no stabilisation
LINEAR_STEPS = 10  # up to here evenly spaced, above along a cosine
EARLY, LATE, FINAL = 0.7, 0.15, 0.05  # noise levels that separate the parts of a run
SMOOTHING = 0.8  # weight of the past in the late part

ADAMS_BASHFORTH = ((1.0,), (1.5, -0.5), (23 / 12, -16 / 12, 5 / 12))  # newest first


def stable(steps: int, shift: float) -> Schedule:
    """Even levels up to 10 steps, half a cosine above; shifted; timesteps 1000 sigma; all in float32."""
    done = torch.linspace(0, 1, checked_steps(steps) + 1)[:-1]
    levels = 1 - done if steps <= LINEAR_STEPS else 0.5 * (1 + torch.cos(math.pi * done))
    return schedule_of(shifted(levels.numpy(), shift), "float")


class SaOdeStable:
    """The number of steps that matters is that of the whole schedule, also when a part of it is run."""

    def __init__(self, schedule: Schedule) -> None:
        self.sigmas: list[float] = schedule.sigmas.tolist()
        self.many = schedule.planned > FEW_STEPS
        self.velocities: list[Tensor] = []  # newest first, at most three
        self.smooth: Tensor | None = None

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        sigma = self.sigmas[i]
        self.velocities = [velocity, *self.velocities[:2]]
        direction = self._smoothed(self._multistep(sigma), sigma)
        width = self.sigmas[i + 1] - sigma
        if not self.many or sigma >= LATE:
            return x + width * direction
        width = width * (0.5 + 0.5 * sigma / LATE)
        if sigma < FINAL and len(self.velocities) == 3:
            mean = (self.velocities[0] + self.velocities[1] + self.velocities[2]) / 3
            direction = mean + (sigma / FINAL) * (direction - mean)
        return x + width * direction

    def _multistep(self, sigma: float) -> Tensor:
        """Adams-Bashforth: order 3 in the middle of a long run, 2 elsewhere, less while history is short."""
        order = 3 if self.many and LATE < sigma <= EARLY else 2
        weights = ADAMS_BASHFORTH[min(order, len(self.velocities)) - 1]
        direction = weights[0] * self.velocities[0]
        for weight, velocity in zip(weights[1:], self.velocities[1:], strict=False):
            direction = direction + weight * velocity
        return direction

    def _smoothed(self, direction: Tensor, sigma: float) -> Tensor:
        """A running mean of the directions of the late part of a long run."""
        if self.many and sigma < LATE and self.smooth is not None:
            direction = SMOOTHING * self.smooth + (1 - SMOOTHING) * direction
        self.smooth = direction
        return direction
