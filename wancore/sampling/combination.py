"""Summing up a step's passes, with room for methods to change what is summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from wancore.sampling.guidance import Guidance
from wancore.sampling.hooks import Step

if TYPE_CHECKING:
    from wancore.sampling.method import Method


@dataclass
class Term:
    """`scale * (a - b)` of two predictions, by the names of their passes.

    `difference`: what stands for `a - b`, where a method has set it.
    """

    scale: float | Tensor
    a: str
    b: str
    difference: Tensor | None = None


@dataclass
class Combination:
    """One step's guidance while methods work on it: `base` plus the sum of `terms`.

    `predictions`: velocity [C, F, h, w] of each pass that was run. `factors`: what a prediction has
    been multiplied by, for methods that build on each other.
    """

    step: Step
    predictions: dict[str, Tensor]
    base: str
    terms: list[Term]
    factors: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, guidance: Guidance, step: Step, predictions: dict[str, Tensor]) -> Combination:
        """The sum as `guidance` states it, or the same sum without the passes that were not run."""
        if predictions.keys() >= guidance.passes.keys():
            terms = [Term(d.at(step), d.a, d.b) for d in guidance.directions]
            return cls(step, predictions, guidance.base, terms)
        weights = guidance.weights(step)
        base = guidance.base if guidance.base in predictions else next(iter(predictions))
        rest = [Term(weights[name], name, base) for name in predictions if name != base]
        return cls(step, predictions, base, rest)

    def difference(self, term: Term) -> Tensor:
        """`a - b` of a term, as changed so far."""
        if term.difference is not None:
            return term.difference
        return self.predictions[term.a] - self.predictions[term.b]

    def total(self) -> Tensor:
        """The guided velocity."""
        velocity = self.predictions[self.base]
        for term in self.terms:
            velocity = velocity + term.scale * self.difference(term)
        return velocity


def combine(
    guidance: Guidance, step: Step, predictions: dict[str, Tensor], methods: Sequence[Method] = ()
) -> Tensor:
    """Guided velocity from the velocity of each pass that was run."""
    combination = Combination.of(guidance, step, dict(predictions))
    for method in methods:
        method.combine(combination)
    return combination.total()
