"""Summing up a step's passes, with room for methods to change what is summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from wancore.sampling.guidance import Guidance
from wancore.sampling.hooks import Step
from wancore.sampling.method import Method


@dataclass
class Combination:
    """One step's guidance while methods work on it.

    `predictions`: velocity [C, F, h, w] of each pass that was run. `scales`: of each direction.
    `factors`: what a prediction has been multiplied by, for methods that build on each other.
    `differences`: filtered `a - b` of a direction, where a method set one.
    """

    guidance: Guidance
    step: Step
    predictions: dict[str, Tensor]
    scales: list[float | Tensor]
    factors: dict[str, Tensor] = field(default_factory=dict)
    differences: dict[int, Tensor] = field(default_factory=dict)

    @property
    def live(self) -> list[int]:
        """Directions both of whose passes were run."""
        return [
            i
            for i, d in enumerate(self.guidance.directions)
            if d.a in self.predictions and d.b in self.predictions
        ]

    def difference(self, i: int) -> Tensor:
        """`a - b` of direction `i`, as filtered so far."""
        if i in self.differences:
            return self.differences[i]
        direction = self.guidance.directions[i]
        return self.predictions[direction.a] - self.predictions[direction.b]

    def total(self) -> Tensor:
        """The guided velocity."""
        if self.guidance.base not in self.predictions or len(self.live) < len(self.scales):
            return self.weighted()
        velocity = self.predictions[self.guidance.base]
        for i, scale in enumerate(self.scales):
            velocity = velocity + scale * self.difference(i)
        return velocity

    def weighted(self) -> Tensor:
        """The same sum by the weight of each pass, where some were not needed."""
        weights = self.guidance.weights(self.step)
        terms = [p if weights[name] == 1 else weights[name] * p for name, p in self.predictions.items()]
        velocity = terms[0]
        for term in terms[1:]:
            velocity = velocity + term
        return velocity


def combine(
    guidance: Guidance, step: Step, predictions: dict[str, Tensor], methods: Sequence[Method] = ()
) -> Tensor:
    """Guided velocity from the velocity of each pass that was run."""
    scales: list[float | Tensor] = [d.at(step) for d in guidance.directions]
    combination = Combination(guidance, step, predictions, scales)
    for method in methods:
        method.combine(combination)
    return combination.total()
