"""Euler's method along the velocity."""

from __future__ import annotations

from torch import Tensor

from wancore.sampling.solver import Draw, Schedule


class Euler:
    """x += (next sigma - sigma) velocity."""

    def __init__(self, schedule: Schedule) -> None:
        self.steps = schedule.sigmas.diff().tolist()

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        return x + self.steps[i] * velocity
