"""UniPC (Zhao et al., 2023, arXiv:2302.04867): order 2, B2(h) = exp(h) - 1, predicting the clean latent.

The variant of `wan/utils/fm_solvers_unipc.py` in Wan-Video/Wan2.1. h is a step in half log-SNR; it is
infinite next to a level of 0 or 1, where every term below takes its limit.
"""

from __future__ import annotations

import math

from torch import Tensor

from wancore.sampling.logsnr import half_log_snr
from wancore.sampling.solver import Draw, Schedule


class UniPC:
    """Predicts the next latent; one step later, corrects it with the velocity found there.

    The first and the last step are of order 1.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.count = len(schedule)
        self.sigmas: list[float] = schedule.sigmas.tolist()
        self.lambdas: list[float] = half_log_snr(schedule.sigmas).tolist()
        self.order = 0  # of the last prediction
        self.start: Tensor | None = None  # the corrected latent that it started from
        self.cleans: list[Tensor] = []  # clean latents found so far, newest first, at most two

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        clean = x - self.sigmas[i] * velocity
        if self.start is not None:
            x = self._correct(i, self.start, clean)
        self.cleans = [clean, *self.cleans[:1]]
        self.order = min(2, self.count - i, len(self.cleans))
        self.start = x
        return self._predict(i, x)

    def _predict(self, i: int, x: Tensor) -> Tensor:
        """From `x` at level i to level i + 1."""
        h = self.lambdas[i + 1] - self.lambdas[i]
        weight = (1 - self.sigmas[i + 1]) * math.expm1(-h)
        ahead = (self.sigmas[i + 1] / self.sigmas[i]) * x - weight * self.cleans[0]
        if self.order == 2:
            ahead = ahead - 0.5 * weight * self._slope(i, h)
        return ahead

    def _correct(self, i: int, start: Tensor, clean: Tensor) -> Tensor:
        """The step from `start` at level i - 1 to level i again, now that `clean` is known at i."""
        h = self.lambdas[i] - self.lambdas[i - 1]
        weight = (1 - self.sigmas[i]) * math.expm1(-h)
        base = (self.sigmas[i] / self.sigmas[i - 1]) * start - weight * self.cleans[0]
        change = clean - self.cleans[0]
        if self.order == 1:
            return base - 0.5 * weight * change
        past, now = corrector_weights(h, (self.lambdas[i - 2] - self.lambdas[i - 1]) / h)
        return base - weight * (past * self._slope(i - 1, h) + now * change)

    def _slope(self, i: int, h: float) -> Tensor:
        """How the clean latent changed from level i - 1 to i, per `h`."""
        return (self.cleans[1] - self.cleans[0]) / ((self.lambdas[i - 1] - self.lambdas[i]) / h)


def corrector_weights(h: float, ratio: float) -> tuple[float, float]:
    """Weights (past slope, newest change) of the order-2 corrector.

    `ratio` is the previous step over this one, negative. They solve
    past + now = b1, ratio past + now = b2.
    """
    growth = math.expm1(-h)
    first = growth / -h - 1
    second = first / -h - 0.5
    b1, b2 = first / growth, 2 * second / growth
    past = (b2 - b1) / (ratio - 1)
    return past, b1 - past
