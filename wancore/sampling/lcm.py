"""The sampler of latent consistency models: jump to the clean latent, add fresh noise."""

from __future__ import annotations

from torch import Tensor

from wancore.sampling.noise import noise_like, noised
from wancore.sampling.solver import Draw, Schedule


class LCM:
    """x = (1 - next sigma) x0 + next sigma z, with one draw z per step.

    `draw_last`: whether the step to level 0, where z has no weight, draws too. It does in the
    reference implementation, so that runs that share a generator stay in step.
    """

    def __init__(self, schedule: Schedule, draw_last: bool = True) -> None:
        self.sigmas: list[float] = schedule.sigmas.tolist()
        self.draw_last = draw_last

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        clean = x - self.sigmas[i] * velocity
        following = self.sigmas[i + 1]
        if following == 0 and not self.draw_last:
            return clean
        return noised(clean, noise_like(x, draw), following)
