"""CFG-Zero* (arXiv:2503.18886; WeichenFan/CFG-Zero-star)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from wancore.sampling.combination import Combination
from wancore.sampling.hooks import Step
from wancore.sampling.method import Method, Run, needs_one_direction
from wancore_guidance.parameters import ZeroStarParameters


def optimal_scale(conditional: Tensor, unconditional: Tensor) -> Tensor:
    """The factor that brings one prediction closest to another: <c, u> / <u, u>, over the whole latent."""
    return (conditional * unconditional).sum() / (unconditional.square().sum() + 1e-8)


class ZeroStar(Method):
    """Scales the unconditional prediction before guidance; predicts nothing at all in the first steps."""

    def __init__(self, parameters: ZeroStarParameters, run: Run) -> None:
        needs_one_direction("cfg-zero-star", run)
        self.scaled, self.zero_steps = parameters.scaled, parameters.zero_steps

    def combine(self, combination: Combination) -> None:
        if not self.scaled:
            return
        for term in combination.terms:
            scale = optimal_scale(combination.predictions[term.a], combination.predictions[term.b])
            combination.predictions[term.b] = combination.predictions[term.b] * scale
            combination.factors[term.b] = scale

    def around_velocity(self, predict: Callable[[Tensor], Tensor], x: Tensor, step: Step) -> Tensor:
        return x * 0 if step.index < self.zero_steps else predict(x)
