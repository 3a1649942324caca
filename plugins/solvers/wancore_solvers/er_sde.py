"""ER-SDE-Solver-3 (Cui et al., 2023, arXiv:2309.06169), run on the flow's sigma."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.sampling.noise import noise_like
from wancore.sampling.solver import Draw, Schedule

POINTS = 200  # of the numerical integration over a step


def noise_scale(sigmas: Tensor) -> Tensor:
    """The paper's noise function, sigma (e^(sigma^0.3) + 10)."""
    return sigmas * ((sigmas**0.3).exp() + 10)


class ErSde:
    """Order 1 on the first step, 2 on the second, 3 from then on; the step to level 0 takes the clean latent.

    One draw per step, except to level 0.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.sigmas = schedule.sigmas
        self.scales = noise_scale(schedule.sigmas)
        self.clean: Tensor | None = None  # of the step before
        self.slope: Tensor | None = None  # of the step before, d clean / d sigma

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        sigma, following = self.sigmas[i], self.sigmas[i + 1]
        clean = x - sigma * velocity
        if following == 0:
            return clean
        ratio = self.scales[i + 1] / self.scales[i]
        ahead = ratio * x + (1 - ratio) * clean
        if self.clean is not None:
            ahead = ahead + self._higher_orders(i, clean, self.clean)
        self.clean = clean
        variance = (following**2 - sigma**2 * ratio**2).clamp_min(0)
        return ahead + variance.sqrt() * noise_like(x, draw)

    def _higher_orders(self, i: int, clean: Tensor, before: Tensor) -> Tensor:
        """What the first and second derivative of the clean latent add over the step."""
        sigma, following = self.sigmas[i], self.sigmas[i + 1]
        width = sigma - following
        points = following + torch.arange(POINTS) * (width / POINTS)
        density = 1 / noise_scale(points)
        slope = (clean - before) / (sigma - self.sigmas[i - 1])
        first = density.sum() * (width / POINTS)
        change = (first * self.scales[i + 1] - width) * slope
        if self.slope is not None:
            curvature = (slope - self.slope) / ((sigma - self.sigmas[i - 2]) / 2)
            second = ((points - sigma) * density).sum() * (width / POINTS)
            change = change + (width**2 / 2 + second * self.scales[i + 1]) * curvature
        self.slope = slope
        return change
