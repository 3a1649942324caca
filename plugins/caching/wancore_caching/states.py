"""What a cache keeps between steps, for exactly as long as it is worth keeping."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from wancore.sampling.method import Call, Key

S = TypeVar("S")


class States(Generic[S]):
    """One state for each key that is asked for step after step.

    A state is dropped when a step went by without it: a window that comes back later, or a pass that
    was not needed for a while, starts anew instead of reusing what is several steps old. So no more
    states are kept than two steps use.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[int, S]] = {}

    def at(self, key: Hashable, step: int, make: Callable[[], S]) -> S:
        """The state of `key`, a new one if it was not asked for at `step` or the step before."""
        self._kept = {k: (last, state) for k, (last, state) in self._kept.items() if last >= step - 1}
        state = self._kept[key][1] if key in self._kept else make()
        self._kept[key] = step, state
        return state

    def __len__(self) -> int:
        return len(self._kept)


@dataclass
class Skipped:
    """The steps that were skipped, by pass."""

    steps: dict[Key, list[int]] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        self.steps.setdefault(call.key, []).append(call.step.index)

    def listed(self) -> Mapping[Key, tuple[int, ...]]:
        return {key: tuple(steps) for key, steps in self.steps.items()}
