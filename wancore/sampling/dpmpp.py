"""DPM-Solver++ 2M (Lu et al., 2022, arXiv:2211.01095): multistep, order 2, midpoint.

The variant of `wan/utils/fm_solvers.py` in Wan-Video/Wan2.1. h is a step in half log-SNR; it is
infinite next to a level of 0 or 1, where every term below takes its limit.
"""

from __future__ import annotations

import math

from torch import Tensor

from wancore.sampling.logsnr import half_log_snr
from wancore.sampling.solver import Draw, Schedule


class Extrapolation:
    """The clean latent in the middle of the coming step, from the last two that were found.

    On the first and the last step of a run it is the newest one itself.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.last = len(schedule) - 1
        self.lambdas: list[float] = half_log_snr(schedule.sigmas).tolist()
        self.before: Tensor | None = None

    def h(self, i: int) -> float:
        return self.lambdas[i + 1] - self.lambdas[i]

    def __call__(self, i: int, clean: Tensor) -> Tensor:
        before, self.before = self.before, clean
        if before is None or i == self.last:
            return clean
        return clean + (0.5 * self.h(i) / self.h(i - 1)) * (clean - before)


class DPMPlusPlus2M:
    """x = (next sigma / sigma) x + (1 - next sigma) (1 - e^-h) x0."""

    def __init__(self, schedule: Schedule) -> None:
        self.sigmas: list[float] = schedule.sigmas.tolist()
        self.middle = Extrapolation(schedule)

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        sigma, following = self.sigmas[i], self.sigmas[i + 1]
        clean = self.middle(i, x - sigma * velocity)
        weight = (1 - following) * math.expm1(-self.middle.h(i))
        return (following / sigma) * x - weight * clean
