"""Brings waiting jobs and free workers together, and ends jobs that are to end."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from google.rpc import code_pb2
from wancore_proto.v1 import job_pb2

from wancore_server.catalog.catalog import Catalog
from wancore_server.clock import SECOND, now_ns, timestamp
from wancore_server.errors import ApiError
from wancore_server.jobs.attempt import Attempt, Surroundings
from wancore_server.jobs.enginerequest import engine_request
from wancore_server.jobs.ledger import Ledger, Move
from wancore_server.jobs.live import LiveJob
from wancore_server.jobs.queue import Queue, Share
from wancore_server.jobs.states import (
    CANCELLED,
    CANCELLING,
    FAILED,
    QUEUED,
    RUNNING,
    STARTING,
    UNFINISHED,
    event,
)
from wancore_server.notify import Background, News
from wancore_server.settings import ServerSettings
from wancore_server.wire import wire_pb2
from wancore_server.workers.slot import Slot
from wancore_server.workers.tenant import Tenant

log = logging.getLogger(__name__)


class Dispatcher:
    """One per gateway. `share(owner)`: what a caller may use; `asset_path(digest)`: an input's file."""

    def __init__(
        self,
        slots: Sequence[Slot],
        queue: Queue,
        around: Surroundings,
        catalog: Catalog,
        settings: ServerSettings,
        share: Callable[[str], Awaitable[Share]],
        asset_path: Callable[[str], Path],
        first_epoch: int,
    ) -> None:
        self.slots, self.queue, self.around, self.catalog = slots, queue, around, catalog
        self.settings, self.share, self.asset_path = settings, share, asset_path
        self.epoch = first_epoch
        self.news = News()
        self.background = Background()
        self.deadlines: dict[str, asyncio.TimerHandle] = {}
        self.paused = False
        self.first: Callable[[Slot], bool] = lambda slot: False  # live sessions go before jobs
        around.ledger.on_final.append(self.ended)

    @property
    def ledger(self) -> Ledger:
        return self.around.ledger

    def wake(self) -> None:
        self.news.tell()

    def enqueue(self, live: LiveJob) -> None:
        self.queue.add(live)
        self.wake()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while not self.paused and await self.place_one():
                    pass
            except Exception:  # the store may be busy: what was not placed stays in the queue
                log.exception("placing a job failed")
                await asyncio.sleep(0.2)
                continue
            self.tell_places()
            await self.news.wait(1.0)
            self.requeue()

    def requeue(self) -> None:
        """Jobs that went back to QUEUED after a lost worker."""
        for live in list(self.ledger.lives.values()):
            if live.state == QUEUED and live.id not in self.queue.jobs and live.run is None:
                self.queue.add(live)

    async def place_one(self) -> bool:
        running = self.running_by_owner()
        shares = {live.owner: await self.share(live.owner) for live in list(self.queue.jobs.values())}
        for slot in self.slots:
            if not slot.free:
                continue
            if self.first(slot):
                return True

            def takes(live: LiveJob, slot: Slot = slot) -> bool:
                free = live.owner in shares and running.get(live.owner, 0) < shares[live.owner].running
                return free and slot.takes(live.family) and live.run is None

            live = self.queue.pick(takes, slot.models, slot.last_model, slot.streak)
            if live is not None:
                self.queue.charge(live, shares[live.owner].weight)
                return await self.place(live, slot)
        return False

    def running_by_owner(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for slot in self.slots:
            if slot.attempt is not None:
                owner = slot.attempt.owner
                counts[owner] = counts.get(owner, 0) + 1
        return counts

    async def place(self, live: LiveJob, slot: Slot) -> bool:
        """QUEUED -> STARTING, with a new attempt and lease; then the worker is told."""
        self.queue.remove(live)
        number = live.attempt + 1
        self.epoch += 1
        path = self.around.spool.prepare(live.id, number)
        self.around.tracks.forget(live.id)

        def edit(info: job_pb2.Job) -> None:
            info.ClearField("start_time")
            info.ClearField("artifacts")

        started = event(
            number, attempt_started=job_pb2.AttemptStarted(attempt=number, reason=self.reason(live))
        )
        move = Move({QUEUED}, STARTING, attempt=number, epoch=self.epoch, edit=edit, events=[started])
        if not await self.ledger.move(live, move):
            return True
        if not slot.free:  # its process died meanwhile
            await self.ledger.move(live, Move({STARTING}, QUEUED))
            await self.end_cancelling(live)
            return True
        attempt = Attempt(live, self.epoch, self.around)
        try:
            command = self.command(live, attempt, path)
        except ApiError as error:  # what it names has gone since it was created
            await self.ledger.move(live, Move({STARTING}, FAILED, error=error.status()))
            await self.end_cancelling(live)
            return True
        live.run = attempt
        waited = time.monotonic() - live.queued_since
        self.around.metrics.queue_wait.labels(priority(live)).observe(waited)
        if live.trace is not None:
            live.trace.span("queue", waited, job=live.id, attempt=number)
        slot.streak = slot.streak + 1 if live.engine_model == slot.last_model else 1
        slot.last_model = live.engine_model
        slot.start(attempt, command, live.trace)
        if live.state == CANCELLING:
            await attempt.cancel()
        self.set_deadline(live)
        return True

    def reason(self, live: LiveJob) -> str:
        return "" if live.attempt == 0 else "WORKER_LOST" if live.crashes else "RESTARTED"

    def request(self, info: job_pb2.Job, engine_model: str) -> dict[str, Any]:
        """What the engine is asked for."""
        fields = engine_request(
            info.spec,
            engine_model,
            lambda name: self.catalog.model(name).engine_name,
            lambda name: self.catalog.loras.file(name).path,
            self.asset_path,
        )
        return fields if "seed" in fields or not info.seed else {**fields, "seed": info.seed}

    def command(self, live: LiveJob, attempt: Attempt, path: Path) -> wire_pb2.RunJob:
        return wire_pb2.RunJob(
            lease=attempt.lease,
            request=json.dumps(self.request(live.info, live.engine_model)),
            spool_path=str(path),
            room_bytes=self.around.room.first(live.id),
            room_wait_s=self.settings.spool_wait_s,
            previews=live.info.spec.delivery.previews,
        )

    def set_deadline(self, live: LiveJob) -> None:
        """`max_run_duration` counts from the start of the first attempt."""
        if live.info.spec.HasField("max_run_duration") and live.id not in self.deadlines:
            span = live.info.spec.max_run_duration.ToTimedelta().total_seconds()
            loop = asyncio.get_running_loop()
            self.deadlines[live.id] = loop.call_later(
                span, lambda: self.background.start(self.expire(live), f"deadline {live.id}")
            )

    async def expire(self, live: LiveJob) -> None:
        error = ApiError(code_pb2.DEADLINE_EXCEEDED, "MAX_RUN_DURATION", "the job took longer than it may")
        if await self.ledger.move(live, Move({QUEUED, STARTING, RUNNING}, FAILED, error=error.status())):
            self.queue.remove(live)
            if live.run is not None:
                live.run.stop_worker()

    def ended(self, live: LiveJob) -> None:
        self.queue.remove(live)
        if (timer := self.deadlines.pop(live.id, None)) is not None:
            timer.cancel()
        if live.grace is not None:
            live.grace.cancel()
            live.grace = None
        self.wake()

    async def cancel(self, live: LiveJob) -> None:
        """The first commit wins; a job that has ended stays as it is."""
        while live.state in UNFINISHED and live.state != CANCELLING:
            live.cancel_asked = time.monotonic()
            if await self.ledger.move(live, Move({QUEUED}, CANCELLED), patient=False):
                self.queue.remove(live)
                return
            if await self.ledger.move(live, Move({STARTING, RUNNING}, CANCELLING), patient=False):
                if live.run is not None:
                    await live.run.cancel()
                return

    async def end_cancelling(self, live: LiveJob) -> None:
        """For a job that was cancelled while no worker had it."""
        await self.ledger.move(live, Move({CANCELLING}, CANCELLED))

    def watched(self, live: LiveJob) -> None:
        """A viewer has come."""
        live.viewers += 1
        if live.grace is not None:
            live.grace.cancel()
            live.grace = None

    def left(self, live: LiveJob) -> None:
        """A viewer has gone; the last one may take the job along after the grace."""
        live.viewers -= 1
        self.start_grace(live)

    def start_grace(self, live: LiveJob) -> None:
        policy = live.info.spec.on_disconnect
        if live.viewers or live.final or policy != job_pb2.ON_DISCONNECT_CANCEL_AFTER_GRACE:
            return

        def over() -> None:
            live.grace = None
            if not live.viewers:
                self.background.start(self.cancel(live), f"grace {live.id}")

        if live.grace is None:
            live.grace = asyncio.get_running_loop().call_later(self.settings.disconnect_grace_s, over)

    def tell_places(self) -> None:
        """Position and estimates of all who wait."""
        running = {slot.attempt.name: self.left_of(slot.attempt) for slot in self.slots if slot.attempt}
        counts: dict[str, int] = {}
        for id, (position, start) in self.queue.places(len(self.slots), running).items():
            live = self.queue.jobs[id]
            counts[priority(live)] = counts.get(priority(live), 0) + 1
            update = job_pb2.QueueUpdate(position=position)
            needed = self.queue.estimate(live)
            if start is not None:
                update.start_estimate.CopyFrom(timestamp(now_ns() + round(start) * SECOND))
                if needed is not None:
                    update.finish_estimate.CopyFrom(timestamp(now_ns() + round(start + needed) * SECOND))
            if live.queue is None or changed(live.queue, update):
                live.queue = update
                live.news.tell()
        for name in ("low", "normal", "high"):
            self.around.metrics.queue_depth.labels(name).set(counts.get(name, 0))

    def left_of(self, attempt: Tenant) -> float | None:
        if not isinstance(attempt, Attempt):
            return None  # nobody knows how long somebody will speak
        needed = self.queue.estimate(attempt.live)
        return None if needed is None else max(0.0, needed - (time.monotonic() - attempt.started))

    def no_worker_for(self, family: str) -> bool:
        """Whether every worker that could run it is in quarantine."""
        return not any(slot.takes(family) for slot in self.slots)


def changed(old: job_pb2.QueueUpdate, new: job_pb2.QueueUpdate) -> bool:
    """Another place, or an estimate that moved by more than 2 seconds."""
    if old.position != new.position or old.HasField("start_estimate") != new.HasField("start_estimate"):
        return True
    return abs(old.start_estimate.seconds - new.start_estimate.seconds) > 2


def priority(live: LiveJob) -> str:
    asked = live.info.spec.priority or job_pb2.PRIORITY_NORMAL
    return job_pb2.Priority.Name(asked).removeprefix("PRIORITY_").lower()
