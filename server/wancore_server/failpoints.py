"""Places where a test can have the gateway killed, as `kill -9` would, or have something fail."""

from __future__ import annotations

import os
import signal
from collections import Counter

_chosen: tuple[str, int] | None = None
_raises = False
_seen: Counter[str] = Counter()


def choose(text: str) -> None:
    """`name:count`: die when `name` is reached for the count-th time; `name:count:raise`: raise there."""
    global _chosen, _raises
    if text:
        name, count, *what = text.split(":")
        _chosen, _raises = (name, int(count)), what == ["raise"]


def reach(name: str) -> None:
    """Marks a place; does nothing unless it was chosen. Raises `RuntimeError` where that was asked for."""
    if _chosen is None:
        return
    _seen[name] += 1
    if _chosen == (name, _seen[name]):
        if _raises:
            raise RuntimeError(f"fail point {name}")
        os.kill(os.getpid(), signal.SIGKILL)
