"""A job in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wancore_proto.v1 import frames_pb2, job_pb2

from wancore_server.jobs.log import JobLog
from wancore_server.jobs.states import FINAL
from wancore_server.notify import News
from wancore_server.tracing import Trace

if TYPE_CHECKING:
    from wancore_server.jobs.attempt import Attempt


@dataclass
class LiveJob:
    """A job, its log and who is concerned with it. Times are of the monotonic clock.

    `info` is what the store has (never changed in place), with the progress of the moment in
    `progress`. `lock` is held over every change, from reading `info` to the commit.
    """

    id: str
    owner: str
    family: str
    model: str
    created: int
    info: job_pb2.Job
    epoch: int
    crashes: int
    log: JobLog
    engine_model: str = ""
    news: News = field(default_factory=News)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    viewers: int = 0
    grace: asyncio.TimerHandle | None = None
    run: Attempt | None = None
    progress: job_pb2.StageProgress = field(default_factory=job_pb2.StageProgress)
    queue: job_pb2.QueueUpdate | None = None
    preview: Sequence[frames_pb2.Preview] = ()
    preview_number: int = 0
    trace: Trace | None = None  # below the call that made it
    cancel_asked: float | None = None
    queued_since: float = 0.0

    @property
    def state(self) -> job_pb2.Job.State:
        return self.info.state

    @property
    def attempt(self) -> int:
        return self.info.attempt

    @property
    def final(self) -> bool:
        return self.info.state in FINAL

    @property
    def frame_count(self) -> int:
        return self.log.frames_of(self.attempt)

    def described(self) -> job_pb2.Job:
        """The job as callers see it now."""
        job = job_pb2.Job()
        job.CopyFrom(self.info)
        job.frame_count = self.frame_count
        if not self.final and self.attempt:
            job.stage = self.progress.stage
            job.step, job.step_count = self.progress.step, self.progress.step_count
        if self.state == job_pb2.Job.STATE_QUEUED and self.queue is not None:
            job.queue.CopyFrom(self.queue)
        return job
