"""Guidance as every published formula has it: a base pass plus scaled differences of named passes.

Source: classifier-free guidance, arXiv:2207.12598, `negative + scale * (positive - negative)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wancore.sampling.hooks import Step

#: A guidance scale: fixed, or a function of the step (a schedule, a range, one per expert).
Scale = float | Callable[[Step], float]


@dataclass(frozen=True)
class Direction:
    """`scale * (a - b)`, of the passes named `a` and `b`."""

    scale: Scale
    a: str
    b: str

    def at(self, step: Step) -> float:
        return self.scale(step) if callable(self.scale) else self.scale


@dataclass(frozen=True)
class Guidance:
    """`passes`: for each pass the variant of every slot that is not simply on, `{slot: variant}`."""

    base: str
    directions: tuple[Direction, ...]
    passes: Mapping[str, Mapping[str, str]]

    def weights(self, step: Step) -> dict[str, float]:
        """The factor of each pass in the sum; a pass whose factor is 0 need not be run."""
        total = dict.fromkeys(self.passes, 0.0)
        total[self.base] += 1.0
        for direction in self.directions:
            scale = direction.at(step)
            total[direction.a] += scale
            total[direction.b] -= scale
        return total


def classifier_free(scale: Scale, positive: str = "positive", negative: str = "negative") -> Guidance:
    """Plain guidance between two texts."""
    passes = {positive: {"text": positive}, negative: {"text": negative}}
    return Guidance(negative, (Direction(scale, positive, negative),), passes)


UNGUIDED = Guidance("positive", (), {"positive": {"text": "positive"}})
