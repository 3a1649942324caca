"""The one place where jobs change: store first, then memory, then everyone who watches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from google.rpc import status_pb2
from wancore_proto.v1 import job_pb2

from wancore_server.clock import SECOND, now_ns, timestamp
from wancore_server.errors import not_found
from wancore_server.jobs.live import LiveJob
from wancore_server.jobs.log import JobLog
from wancore_server.jobs.states import FINAL, result_event, state_changed
from wancore_server.metrics import Metrics
from wancore_server.notify import Unbroken
from wancore_server.store import Block, Event, Frames, JobRow, NewJob, Store, StoreBusy
from wancore_server.store.model import Change
from wancore_server.tracing import parse_trace

log = logging.getLogger(__name__)
FIRST_WAIT_S, MOST_WAIT_S = 0.1, 2.0
OUTCOMES = {
    job_pb2.Job.STATE_SUCCEEDED: "succeeded",
    job_pb2.Job.STATE_FAILED: "failed",
    job_pb2.Job.STATE_CANCELLED: "cancelled",
}


@dataclass(frozen=True)
class Move:
    """A change of state. `edit` changes a copy of the job's info; `events` come after the state's own."""

    expected: Collection[job_pb2.Job.State]
    state: job_pb2.Job.State
    attempt: int | None = None
    epoch: int | None = None
    crashes: int | None = None
    error: status_pb2.Status | None = None
    edit: Callable[[job_pb2.Job], None] = lambda info: None
    events: Sequence[job_pb2.JobEvent] = ()
    result: job_pb2.JobResult = field(default_factory=job_pb2.JobResult)


class Ledger:
    """All jobs; those that are unfinished or watched are in memory.

    A change that has begun is made in memory too, even if whoever asked for it is cancelled while the store
    commits it: what memory lacks, no viewer would ever get.
    """

    def __init__(self, store: Store, metrics: Metrics, retention_s: float) -> None:
        self.store, self.metrics, self.retention_s = store, metrics, retention_s
        self.lives: dict[str, LiveJob] = {}
        self.changes = Unbroken()
        self.on_busy: Callable[[], None] = lambda: None  # may make room
        self.on_final: list[Callable[[LiveJob], None]] = []

    async def create(self, new: NewJob, request_ids_after: int, engine_model: str) -> tuple[LiveJob, bool]:
        row, fresh = await self.store.create_job(new, request_ids_after)
        if row.id in self.lives:
            return self.lives[row.id], fresh
        live = await self.open_row(row)
        live.engine_model = engine_model
        return live, fresh

    async def open(self, job: str, owner: str | None = None) -> LiveJob:
        """A job by its UUID. Raises `NOT_FOUND`, also where `owner` is not its owner."""
        live = self.lives.get(job)
        if live is None:
            row = await self.store.job(job)
            if row is None or (owner is not None and row.owner != owner):
                raise not_found("Job", f"jobs/{job}")
            live = await self.open_row(row)
        if owner is not None and live.owner != owner:
            raise not_found("Job", f"jobs/{job}")
        return live

    async def open_row(self, row: JobRow) -> LiveJob:
        entries = await self.store.history(row.id)
        if row.id in self.lives:  # opened meanwhile
            return self.lives[row.id]
        info = job_pb2.Job.FromString(row.info)
        live = LiveJob(
            row.id,
            row.owner,
            row.family,
            row.model,
            row.created,
            info,
            row.epoch,
            row.crashes,
            JobLog(entries, row.next_sequence),
            trace=parse_trace(row.trace),
        )
        self.lives[row.id] = live
        return live

    def forget_idle(self) -> None:
        """Drops ended jobs that nobody watches from memory."""
        idle = [id for id, live in self.lives.items() if live.final and not live.viewers and live.run is None]
        for id in idle:
            del self.lives[id]

    async def move(self, live: LiveJob, move: Move, patient: bool = True) -> bool:
        """Changes the state if it is an expected one; the first commit wins.

        `patient`: a store that cannot be written is tried until it can, since what a worker did is
        done; else raises `StoreBusy`.
        """
        return await self.changes.run(self.moved(live, move, patient))

    async def moved(self, live: LiveJob, move: Move, patient: bool) -> bool:
        async with live.lock:
            if live.state not in move.expected:
                return False
            previous, attempt = live.state, live.attempt
            info = job_pb2.Job()
            info.CopyFrom(live.info)
            info.state = move.state
            if move.attempt is not None:
                info.attempt = move.attempt
            if move.error is not None:
                info.error.CopyFrom(move.error)
            move.edit(info)
            events = [state_changed(info.attempt, move.state, previous), *move.events]
            ended = None
            if move.state in FINAL:
                ended = now_ns()
                events.append(self.close(live, info, move, ended))
            expire = info.expire_time.ToNanoseconds() if info.HasField("expire_time") else None
            payloads = [e.SerializeToString() for e in events]
            change = Change(info.SerializeToString(), info.attempt, move.epoch, move.crashes, ended, expire)
            first = await self.written(
                lambda: self.store.move(live.id, move.expected, attempt, move.state, change, payloads),
                patient,
            )
            if first is None:
                return False
            live.info = info
            live.epoch = live.epoch if move.epoch is None else move.epoch
            live.crashes = live.crashes if move.crashes is None else move.crashes
            if move.attempt is not None:
                live.progress = job_pb2.StageProgress()
                live.preview = ()
            for i, payload in enumerate(payloads):
                live.log.add(Event(first + i, info.attempt, payload))
        live.news.tell()
        if live.final:
            self.metrics.jobs.labels(OUTCOMES[live.state], live.family).inc()
            for hook in self.on_final:
                hook(live)
        return True

    async def written(self, write: Callable[[], Awaitable[int | None]], patient: bool) -> int | None:
        wait = FIRST_WAIT_S
        while True:
            try:
                return await write()
            except StoreBusy:
                if not patient:
                    raise
                log.warning("the store cannot be written; trying again")
                self.on_busy()
                await asyncio.sleep(wait)
                wait = min(2 * wait, MOST_WAIT_S)

    def close(self, live: LiveJob, info: job_pb2.Job, move: Move, ended: int) -> job_pb2.JobEvent:
        """Fills in what an ended job has, and makes its last event."""
        info.end_time.CopyFrom(timestamp(ended))
        if not info.HasField("expire_time"):
            info.expire_time.CopyFrom(timestamp(ended + int(self.retention_s * SECOND)))
        info.frame_count = live.frame_count
        info.step, info.step_count = live.progress.step, live.progress.step_count
        last = result_event(info)
        last.result.MergeFrom(move.result)
        return last

    async def append(
        self,
        live: LiveJob,
        attempt: int,
        states: Collection[job_pb2.Job.State],
        entries: Sequence[job_pb2.JobEvent | Frames],
        edit: Callable[[job_pb2.Job], None] | None = None,
    ) -> bool:
        """Adds events and frames of an attempt; False where the job has moved on."""
        return await self.changes.run(self.appended(live, attempt, states, entries, edit))

    async def appended(
        self,
        live: LiveJob,
        attempt: int,
        states: Collection[job_pb2.Job.State],
        entries: Sequence[job_pb2.JobEvent | Frames],
        edit: Callable[[job_pb2.Job], None] | None,
    ) -> bool:
        async with live.lock:
            if live.attempt != attempt or live.state not in states:
                return False
            info = live.info
            if edit is not None:
                info = job_pb2.Job()
                info.CopyFrom(live.info)
                edit(info)
            stored = [e if isinstance(e, Frames) else e.SerializeToString() for e in entries]
            described = info.SerializeToString() if edit is not None else None
            first = await self.written(
                lambda: self.store.append(live.id, attempt, states, stored, described), patient=True
            )
            if first is None:
                return False
            live.info = info
            for entry in stored:
                if isinstance(entry, Frames):
                    live.log.add(Block(first, attempt, entry))
                    first += entry.frame_count
                else:
                    live.log.add(Event(first, attempt, entry))
                    first += 1
        live.news.tell()
        return True
