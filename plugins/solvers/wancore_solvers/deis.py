"""DEIS (Zhang and Chen, 2022, arXiv:2204.13902): order 2, exponential in log rho, as in diffusers.

rho = sigma / (1 - sigma) and x = (1 - sigma) x0 + sigma eps, so that d(x / (1 - sigma)) = eps d rho: each
step integrates eps, extrapolated linearly in log rho.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wancore.sampling.logsnr import half_log_snr
from wancore.sampling.schedules import checked_steps, schedule_of, shifted
from wancore.sampling.solver import Draw, Schedule

END = 1e-6  # instead of 0, where rho has no logarithm
FEW_STEPS = 15  # below this the last step is of order 1


def flow(steps: int, shift: float) -> Schedule:
    """0.999 to 0 evenly, shifted, ending in 1e-6; integer timesteps."""
    alphas = np.linspace(1, 1 / 1000, checked_steps(steps) + 1)
    return schedule_of(shifted(1 - alphas[:0:-1], shift), "integer", end=END)


class Deis:
    """The first step is of order 1, and in a run of fewer than 15 steps the last one too.

    Near sigma = 1 the terms of a step are thousands of times larger than their difference. They are
    computed in float32 and in the order of the reference, so that a seed gives its picture.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.count = len(schedule)
        self.sigmas = schedule.sigmas
        self.alphas = 1 - schedule.sigmas
        self.lambdas = half_log_snr(schedule.sigmas)
        self.rhos = self.sigmas / self.alphas
        self.before: Tensor | None = None  # the noise estimate one step earlier

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        clean = x - self.sigmas[i] * velocity
        noise = (x - self.alphas[i] * clean) / self.sigmas[i]
        before, self.before = self.before, noise
        if self.sigmas[i] == 1 or self.sigmas[i + 1] == 0:
            return self.alphas[i + 1] * clean + self.sigmas[i + 1] * noise  # what order 1 tends to
        last = i == self.count - 1 and self.count < FEW_STEPS
        if before is None or last or self.sigmas[i - 1] == 1:
            growth = torch.exp(self.lambdas[i + 1] - self.lambdas[i]) - 1
            return (self.alphas[i + 1] / self.alphas[i]) * x - (self.sigmas[i + 1] * growth) * noise
        now, past = self._weights(i)
        return self.alphas[i + 1] * (x / self.alphas[i] + now * noise + past * before)

    def _weights(self, i: int) -> tuple[Tensor, Tensor]:
        """Of this step's noise estimate and of the one before, in the integral over rho."""
        past, now, ahead = self.rhos[i - 1], self.rhos[i], self.rhos[i + 1]
        return (
            integral(ahead, now, past) - integral(now, now, past),
            integral(ahead, past, now) - integral(now, past, now),
        )


def integral(rho: Tensor, one: Tensor, zero: Tensor) -> Tensor:
    """Antiderivative at `rho` of the line in log rho that is 1 at `one` and 0 at `zero`."""
    return rho * (rho.log() - zero.log() - 1) / (one.log() - zero.log())
