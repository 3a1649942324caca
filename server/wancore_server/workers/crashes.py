"""Counting crashes, so that what crashes again and again is left alone."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Crashes:
    """Times of recent crashes, by family; '' for those outside a job."""

    limit: int
    window_s: float
    times: dict[str, deque[float]] = field(default_factory=dict)

    def add(self, family: str) -> None:
        self.times.setdefault(family, deque(maxlen=self.limit)).append(time.monotonic())

    def too_many(self, family: str) -> bool:
        """Five in ten minutes, by default: then an operator is needed."""
        recent = list(self.times.get(family, ()))
        if len(recent) < self.limit:
            return False
        first, last = recent[0], recent[-1]
        return last - first <= self.window_s

    @property
    def quarantined(self) -> set[str]:
        return {family for family in self.times if family and self.too_many(family)}

    def clear(self) -> None:
        self.times.clear()
