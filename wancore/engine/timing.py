"""Where a generation's time goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter


class Stages:
    """Adds up seconds by stage: `with stages("decoding"): …`. A stage inside another is not part of it.

    `settle` waits for the device before a stage ends: without it, work that a stage has only queued counts
    for whoever waits for it.
    """

    def __init__(self, settle: Callable[[], None] = lambda: None) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.settle = settle
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self._pass()
        self._open.append(stage)
        try:
            yield
        finally:
            self.settle()
            self._pass()
            self._open.pop()

    def _pass(self) -> None:
        """The time until now belongs to the innermost open stage."""
        now = perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now
