"""SDE-DPM-Solver++ 2M: DPM-Solver++ 2M with fresh noise at every step (Lu et al., 2022, arXiv:2211.01095)."""

from __future__ import annotations

import math

from torch import Tensor

from wancore.sampling.dpmpp import Extrapolation
from wancore.sampling.noise import noise_like
from wancore.sampling.solver import Draw, Schedule


class DPMPlusPlus2MSDE:
    """x = (next sigma / sigma) e^-h x + (1 - next sigma) (1 - e^-2h) x0 + next sigma sqrt(1 - e^-2h) z.

    One draw z per step, the last one included, where its weight is 0.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.sigmas: list[float] = schedule.sigmas.tolist()
        self.middle = Extrapolation(schedule)

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        sigma, following = self.sigmas[i], self.sigmas[i + 1]
        h = self.middle.h(i)
        clean = self.middle(i, x - sigma * velocity)
        renewed = -math.expm1(-2 * h)  # the share of the variance that is drawn anew
        kept = (following / sigma) * math.exp(-h) * x
        return kept + (1 - following) * renewed * clean + following * renewed**0.5 * noise_like(x, draw)
