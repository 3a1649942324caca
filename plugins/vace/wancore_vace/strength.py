"""How strongly a context acts, step by step and block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Strength:
    """`steps`: factor at each step, 0 where the context does not act; `layers`: further factors of the
    hinted blocks, in order; None: 1."""

    steps: tuple[float, ...] = (1.0,)
    layers: tuple[float, ...] | None = None

    def at(self, step: int) -> float:
        """The factor at a step; the last one goes on."""
        return self.steps[min(step, len(self.steps) - 1)]

    def of_layer(self, n: int) -> float:
        return 1.0 if self.layers is None else self.layers[n]


ALWAYS = Strength()


def acts(step: int, steps: int, start: float, end: float) -> bool:
    """Whether a context acts at a step: while the share of the run that is done lies in start..end.

    The first step counts even where `end` is smaller than a step (ComfyUI-WanVideoWrapper's rule).
    """
    done = step / steps
    return start <= done <= end or (end > 0 and step == 0 and done >= start)


def strength_of(
    factor: float | Sequence[float],
    start: float,
    end: float,
    steps: int,
    layers: Sequence[float] | None = None,
) -> Strength:
    """`factor`: one for all steps, or one for each."""
    each = [factor] * steps if isinstance(factor, float | int) else list(factor)
    active = [f if acts(i, steps, start, end) else 0.0 for i, f in enumerate(each)]
    return Strength(tuple(active), tuple(layers) if layers is not None else None)
