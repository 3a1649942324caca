"""What tells that a file has not changed since it was read."""

from __future__ import annotations

import time
from pathlib import Path

Stamp = tuple[int, int, int, int]  # device, inode, bytes, time of the last change in ns

#: A file that changed so shortly ago may change again without its time telling, as clocks of file systems
#: have ticks.
UNSETTLED_NS = 2_000_000_000


def settled_stamp(file: Path) -> Stamp | None:
    """None for a file that is not there, or changed just now."""
    try:
        found = file.stat()
    except OSError:
        return None
    if time.time_ns() - found.st_mtime_ns < UNSETTLED_NS:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
