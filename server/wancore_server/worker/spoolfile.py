"""Writing an attempt's frames."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c

from wancore_server.wire import wire_pb2

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SinkStalled(Exception):
    """There was no room for the frames in time."""


class Cancelled(Exception):
    """The attempt is to stop."""


class SpoolFile:
    """Appends frames [n, H, W, 3] uint8; waits for room where the gateway has given none yet."""

    def __init__(self, run: wire_pb2.RunJob, ask: Callable[[int], None], cancelled: threading.Event) -> None:
        self.path, self.room, self.wait_s = Path(run.spool_path), run.room_bytes, run.room_wait_s
        self.ask, self.cancelled = ask, cancelled
        self.size = 0
        self.more = threading.Condition()
        live = run.HasField("live")  # a session writes its blocks itself
        self.descriptor = None if live else os.open(self.path, os.O_WRONLY | os.O_APPEND)

    def give(self, total: int) -> None:
        """The gateway's answer: this much in all."""
        with self.more:
            self.room = max(self.room, total)
            self.more.notify_all()

    def wake(self) -> None:
        with self.more:
            self.more.notify_all()

    def append(self, index: int, frames: NDArray[Any]) -> wire_pb2.BlockWritten:
        """Raises `SinkStalled`, `Cancelled`, or `OSError` where the disk is full."""
        import numpy as np

        count, height, width = frames.shape[:3]
        assert self.descriptor is not None
        self.await_room(self.size + frames.nbytes)
        offset, crcs = self.size, []
        for frame in frames:
            data: Any = np.ascontiguousarray(frame).reshape(-1)  # no copy: a frame may have many megabytes
            data.setflags(write=False)  # as the checksum wants it
            try:
                write_all(self.descriptor, memoryview(data))
            except OSError:
                os.ftruncate(self.descriptor, self.size)  # a full disk: no part of a frame stays
                raise
            crcs.append(google_crc32c.value(data))
            self.size += len(data)
        return wire_pb2.BlockWritten(
            first_frame=index, frame_count=count, offset_bytes=offset, width=width, height=height, crc32c=crcs
        )

    def await_room(self, total: int) -> None:
        if total <= self.room:
            return
        self.ask(total)
        with self.more:
            ready = self.more.wait_for(lambda: total <= self.room or self.cancelled.is_set(), self.wait_s)
        if self.cancelled.is_set():
            raise Cancelled
        if not ready:
            raise SinkStalled

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


def write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
