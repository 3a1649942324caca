"""TSR: temporal score rescaling (arXiv:2510.01184)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from wancore.sampling.hooks import Step
from wancore.sampling.method import Method, Run
from wancore_guidance.parameters import RescalingParameters


def rescaled(velocity: Tensor, x: Tensor, t: float, k: float, sigma: float) -> Tensor:
    """The velocity at noise level `t`, 0..1, of the distribution at inverse temperature `k`.

    `sigma`: assumed spread of the data. At t = 1 there is only noise, and nothing to rescale.
    """
    if t == 1:
        return velocity
    ratio = k
    if t > 0:
        spread = ((1 - t) * sigma / t) ** 2
        ratio = (spread + 1) / (spread / k + 1)
    return (ratio * ((1 - t) * velocity + x) - x) / (1 - t)


class ScoreRescaling(Method):
    """Acts on the guided velocity, before the solver."""

    def __init__(self, parameters: RescalingParameters, run: Run) -> None:
        self.k, self.sigma = parameters.k, parameters.sigma

    def around_velocity(self, predict: Callable[[Tensor], Tensor], x: Tensor, step: Step) -> Tensor:
        return rescaled(predict(x), x, step.timestep / 1000, self.k, self.sigma)
