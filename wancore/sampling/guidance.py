"""Guidance as every published formula has it: a base pass plus scaled differences of named passes.

Source: classifier-free guidance, arXiv:2207.12598, `negative + scale * (positive - negative)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wancore.errors import InvalidInput
from wancore.sampling.hooks import Step

if TYPE_CHECKING:
    from torch import Tensor

#: A guidance scale: fixed, or a function of the step (a schedule, a range, one per expert).
Scale = float | Callable[[Step], float]


#: Changes a direction before it is scaled: (a - b [C, F, h, w], the base pass' velocity) -> the same shape.
#: It may keep state from step to step.
Filter = Callable[["Tensor", "Tensor"], "Tensor"]


@dataclass(frozen=True)
class Direction:
    """`scale * filter(a - b)`, of the passes named `a` and `b`.

    `filter()` makes the filter of one run; without one the difference is taken as it is.
    """

    scale: Scale
    a: str
    b: str
    filter: Callable[[], Filter] | None = None

    def at(self, step: Step) -> float:
        return self.scale(step) if callable(self.scale) else self.scale


@dataclass(frozen=True)
class Guidance:
    """`passes`: for each pass the variant of every slot that is not simply on, `{slot: variant}`."""

    base: str
    directions: tuple[Direction, ...]
    passes: Mapping[str, Mapping[str, str]]

    def weights(self, step: Step) -> dict[str, float]:
        """The factor of each pass in the sum; a pass whose factor is 0 need not be run. They sum to 1."""
        total = dict.fromkeys(self.passes, 0.0)
        total[self.base] += 1.0
        for direction in self.directions:
            scale = direction.at(step)
            total[direction.a] += scale
            total[direction.b] -= scale
        return total

    @property
    def filtered(self) -> bool:
        """Whether some direction is filtered: passes then have no fixed factor in the sum."""
        return any(direction.filter is not None for direction in self.directions)

    def filters(self) -> list[Filter | None]:
        """Fresh filters of the directions, for one run."""
        return [d.filter() if d.filter else None for d in self.directions]

    def needed(self, step: Step) -> tuple[str, ...]:
        """The passes that count at `step`, in their order; the others need not be run."""
        if not self.filtered:
            weights = self.weights(step)
            return tuple(name for name in self.passes if weights[name] != 0)
        scaled = [d for d in self.directions if d.at(step) != 0]
        asked = {self.base, *(d.a for d in scaled), *(d.b for d in scaled)}
        return tuple(name for name in self.passes if name in asked)

    def used(self, steps: Iterable[Step]) -> frozenset[str]:
        """The passes that some of `steps` runs."""
        return frozenset(name for step in steps for name in self.needed(step))


def classifier_free(scale: Scale, positive: str = "positive", negative: str = "negative") -> Guidance:
    """Plain guidance between two texts."""
    passes = {positive: {"text": positive}, negative: {"text": negative}}
    return Guidance(negative, (Direction(scale, positive, negative),), passes)


UNGUIDED = Guidance("positive", (), {"positive": {"text": "positive"}})


def per_step(scales: Sequence[float]) -> Scale:
    """One scale per step of the run; the last one goes on if there are more steps.

    Raises InvalidInput for an empty list.
    """
    if not scales:
        raise InvalidInput("guidance", list(scales), "at least one number")
    listed = tuple(scales)

    def scale(step: Step) -> float:
        return listed[min(step.index, len(listed) - 1)]

    return scale


def within(step: Step, start: float, end: float) -> bool:
    """Whether the share of the run that is done, index / count, lies in start..end, both included.

    The last step's share is below 1, so an `end` of 1 reaches to the end of the run.
    """
    return start <= step.index / step.count <= end
