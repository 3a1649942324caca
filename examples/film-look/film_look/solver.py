"""The two-step method of Adams and Bashforth, on steps of any length."""

from __future__ import annotations

from torch import Tensor

from wancore.sampling.solver import Draw, Schedule


class AB2:
    """Follows the velocity that the last two predict for the middle of the step; the first is Euler's."""

    def __init__(self, schedule: Schedule) -> None:
        self.lengths = schedule.sigmas.diff().tolist()
        self.last: Tensor | None = None

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        slope = velocity
        if self.last is not None:
            slope = velocity + self.lengths[i] / (2 * self.lengths[i - 1]) * (velocity - self.last)
        self.last = velocity
        return x + self.lengths[i] * slope
