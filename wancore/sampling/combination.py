"""Summing up a step's passes, with room for methods to change what is summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from wancore.sampling.guidance import Filter, Guidance
from wancore.sampling.hooks import Step

if TYPE_CHECKING:
    from wancore.sampling.method import Method


@dataclass
class Term:
    """`scale * filter(a - b)` of two predictions, by the names of their passes.

    `difference`: what stands for `a - b`, where a method has set it. `filter`: the family's own.
    """

    scale: float | Tensor
    a: str
    b: str
    difference: Tensor | None = None
    filter: Filter | None = None


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
    def of(
        cls,
        guidance: Guidance,
        step: Step,
        predictions: dict[str, Tensor],
        filters: Sequence[Filter | None] = (),
    ) -> Combination:
        """The sum as `guidance` states it, or the same sum without the passes that were not run.

        `filters`: of each direction, for the run at hand.
        """
        if guidance.filtered or predictions.keys() >= guidance.passes.keys():
            own = filters or guidance.filters()
            terms = [
                Term(d.at(step), d.a, d.b, filter=f) for d, f in zip(guidance.directions, own, strict=True)
            ]
            present = [t for t in terms if {t.a, t.b} <= predictions.keys()]
            return cls(step, predictions, guidance.base, present)
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
        base = velocity = self.predictions[self.base]
        for term in self.terms:
            difference = self.difference(term)
            if term.filter is not None:
                difference = term.filter(difference, base)
            velocity = velocity + term.scale * difference
        return velocity


def combine(
    guidance: Guidance,
    step: Step,
    predictions: dict[str, Tensor],
    methods: Sequence[Method] = (),
    filters: Sequence[Filter | None] = (),
) -> Tensor:
    """Guided velocity from the velocity of each pass that was run."""
    combination = Combination.of(guidance, step, dict(predictions), filters)
    for method in methods:
        method.combine(combination)
    return combination.total()
