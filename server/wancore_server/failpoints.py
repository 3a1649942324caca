"""Places where a test can have the gateway killed, as `kill -9` would."""

from __future__ import annotations

import os
import signal
from collections import Counter

_chosen: tuple[str, int] | None = None
_seen: Counter[str] = Counter()


def choose(text: str) -> None:
    """`name:count`: die when `name` is reached for the count-th time; '': never."""
    global _chosen
    if text:
        name, _, count = text.rpartition(":")
        _chosen = (name, int(count))


def reach(name: str) -> None:
    """Marks a place; does nothing unless it was chosen."""
    if _chosen is None:
        return
    _seen[name] += 1
    if _chosen == (name, _seen[name]):
        os.kill(os.getpid(), signal.SIGKILL)
