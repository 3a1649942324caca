"""Whether a worker's process still does its work: now and then it is asked for a little of the real path."""

from __future__ import annotations

import time
from pathlib import Path

from wancore_server.wire import wire_pb2
from wancore_server.workers.process import Child


class Canary:
    """One at a time; `path` is a file that the process writes and removes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sent, self.open = 0.0, False

    def send(self, child: Child) -> None:
        """Unless one is out."""
        if not self.open:
            self.sent, self.open = time.monotonic(), True
            child.send(wire_pb2.ToWorker(canary=wire_pb2.Canary(scratch_path=str(self.path))))

    def due(self, every_s: float) -> bool:
        return time.monotonic() - self.sent > every_s

    def late(self, patience_s: float) -> bool:
        """Whether it should have come back."""
        return self.open and self.due(patience_s)
