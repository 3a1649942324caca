"""Whose turn it is."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from wancore_proto.v1 import job_pb2

from wancore_server.jobs.live import LiveJob

MAX_STREAK = 3  # jobs in a row that a worker may prefer for the model it holds
UNMEASURED_S = 60.0  # what a job of unknown length counts in its caller's share


@dataclass(frozen=True)
class Share:
    """What a caller may use."""

    queued: int
    running: int
    weight: float = 1.0


@dataclass
class Queue:
    """Jobs that wait: by class, inside a class by what each caller has had, then by age.

    A class is a priority, one up for every `ageing_s` of waiting.
    """

    ageing_s: float
    estimate: Callable[[LiveJob], float | None]
    jobs: dict[str, LiveJob] = field(default_factory=dict)
    used: defaultdict[str, float] = field(
        default_factory=lambda: defaultdict(float)
    )  # owner -> GPU seconds over weight

    def add(self, live: LiveJob) -> None:
        if live.id not in self.jobs:
            live.queued_since = time.monotonic()
            if not any(job.owner == live.owner for job in self.jobs.values()):
                self.catch_up(live.owner)
            self.jobs[live.id] = live

    def catch_up(self, owner: str) -> None:
        """A caller who was away does not get all that time back at once."""
        others = [self.used[job.owner] for job in self.jobs.values()]
        if others:
            self.used[owner] = max(self.used[owner], min(others))

    def remove(self, live: LiveJob) -> None:
        self.jobs.pop(live.id, None)
        live.queue = None

    def charge(self, live: LiveJob, weight: float) -> None:
        self.used[live.owner] += (self.estimate(live) or UNMEASURED_S) / weight

    def urgency(self, live: LiveJob) -> int:
        asked = live.info.spec.priority or job_pb2.PRIORITY_NORMAL
        waited = time.monotonic() - live.queued_since
        return min(asked + int(waited / self.ageing_s), job_pb2.PRIORITY_HIGH)

    def ordered(self) -> list[LiveJob]:
        return sorted(self.jobs.values(), key=lambda j: (-self.urgency(j), self.used[j.owner], j.created))

    def pick(
        self, takes: Callable[[LiveJob], bool], held: Iterable[str], last: str, streak: int
    ) -> LiveJob | None:
        """The next job for a worker that `takes` it; one for a model it holds goes before its equals."""
        able = [job for job in self.ordered() if takes(job)]
        if not able:
            return None
        first = able[0]
        if last and streak < MAX_STREAK and first.engine_model != last:
            rank = self.urgency(first)
            models = set(held) | {last}
            for job in able:
                if self.urgency(job) == rank and job.engine_model in models and job.owner == first.owner:
                    return job
        return first

    def places(
        self, workers: int, running: Mapping[str, float | None]
    ) -> Mapping[str, tuple[int, float | None]]:
        """Position and seconds to the start of each waiting job; None where a time is not known.

        `running`: seconds left of the jobs that run.
        """
        ahead: float | None = 0.0
        for left in running.values():
            ahead = None if ahead is None or left is None else ahead + left
        places: dict[str, tuple[int, float | None]] = {}
        for position, job in enumerate(self.ordered()):
            start = None if ahead is None else ahead / max(1, workers)
            places[job.id] = (position, start)
            needed = self.estimate(job)
            ahead = None if ahead is None or needed is None else ahead + needed
        return places
