"""What has happened to one job, in memory: every viewer reads this at its own pace."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from wancore_proto.v1 import job_pb2

from wancore_server.store import Block, Event

Entry = Event | Block


class JobLog:
    """Stored entries in order.

    `following`: the next sequence that the store will give. Where a power cut took frames of an old
    attempt, sequences are missing; from here on none will be.
    """

    def __init__(self, entries: Iterable[Entry] = (), following: int = 1) -> None:
        self.entries: list[Entry] = []
        self.ends: list[int] = []  # last sequence of each entry
        self.early: dict[int, Entry] = {}  # committed, but one before is not here yet
        self.attempt_starts: dict[int, int] = {}  # attempt -> position of its first entry
        self.frame_counts: dict[int, int] = {}  # attempt -> frames so far
        for entry in entries:
            self.append(entry)
        self.following = following

    @property
    def last_sequence(self) -> int:
        return self.ends[-1] if self.ends else 0

    def add(self, entry: Entry) -> None:
        """Takes an entry that is in the store, in whatever order commits are told."""
        self.early[entry.sequence] = entry
        while (following := self.early.pop(self.following, None)) is not None:
            self.append(following)
            self.following = following.last_sequence + 1

    def append(self, entry: Entry) -> None:
        self.attempt_starts.setdefault(entry.attempt, len(self.entries))
        if isinstance(entry, Block):
            frames = entry.frames
            self.frame_counts[entry.attempt] = frames.first_frame + frames.frame_count
        self.entries.append(entry)
        self.ends.append(entry.last_sequence)

    def after(self, sequence: int) -> int:
        """Position of the first entry with something after `sequence`."""
        return bisect_right(self.ends, sequence)

    def start_of(self, attempt: int) -> int:
        """Position of the first entry of `attempt`, or the end."""
        return self.attempt_starts.get(attempt, len(self.entries))

    def frames_of(self, attempt: int) -> int:
        return self.frame_counts.get(attempt, 0)

    def block_of(self, attempt: int, frame: int) -> int | None:
        """Position of the block that holds `frame` of `attempt`."""
        for position in range(self.start_of(attempt), len(self.entries)):
            entry = self.entries[position]
            if isinstance(entry, Block) and entry.attempt == attempt:
                first = entry.frames.first_frame
                if first <= frame < first + entry.frames.frame_count:
                    return position
        return None


def read_event(entry: Event) -> job_pb2.JobEvent:
    """The event with its sequence."""
    event = job_pb2.JobEvent.FromString(entry.payload)
    event.sequence = entry.sequence
    return event
