"""Wall-clock times for people and files. Timeouts use the monotonic clock, never this."""

from __future__ import annotations

import time

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

SECOND = 1_000_000_000


def now_ns() -> int:
    return time.time_ns()


def timestamp(nanoseconds: int) -> Timestamp:
    result = Timestamp()
    result.FromNanoseconds(nanoseconds)
    return result


def duration(seconds: float) -> Duration:
    result = Duration()
    result.FromNanoseconds(round(seconds * SECOND))
    return result
