"""One worker: its processes, watched, and started again when they are gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from wancore_proto.v1 import admin_service_pb2

from wancore_server.catalog.catalog import Catalog
from wancore_server.errors import reason_of
from wancore_server.logs import FieldsAdapter
from wancore_server.metrics import Metrics
from wancore_server.notify import Background
from wancore_server.settings import ServerSettings
from wancore_server.tracing import Trace
from wancore_server.wire import wire_pb2
from wancore_server.workers.batches import batches
from wancore_server.workers.canary import Canary
from wancore_server.workers.crashes import Crashes
from wancore_server.workers.process import Child
from wancore_server.workers.tenant import Loss, Tenant

State = admin_service_pb2.Worker.State
log = logging.getLogger(__name__)
LAST_WORDS_S = 0.5


class Slot:
    """A worker. `wake` tells the dispatcher that it may be free; `disabled` plugins are not imported."""

    def __init__(
        self, number: int, device: str, settings: ServerSettings, metrics: Metrics,
        wake: Callable[[], None], disabled: Callable[[], tuple[str, ...]], scratch: Path,
    ) -> None:  # fmt: skip
        self.id, self.device, self.settings, self.metrics = f"{number}", device, settings, metrics
        self.wake, self.disabled = wake, disabled
        self.log = FieldsAdapter(log, worker=self.id)
        self.state: State = State.STATE_STARTING
        self.children: list[Child] = []
        self.canary = Canary(scratch / f"canary-{number}")
        self.attempt: Tenant | None = None
        self.crashes = Crashes(settings.quarantine_crashes, settings.quarantine_window_s)
        self.models: list[str] = []
        self.loras: list[str] = []
        self.last_model, self.streak = "", 0
        self.restarts = 0
        self.failures_in_row = 0
        self.last_sign = self.last_good = 0.0
        self.patient = True
        self.memory_bytes = 0
        self.kill_reason = ""
        self.recycle = False
        self.stopping = False
        self.revive = asyncio.Event()
        self.stops: set[asyncio.Task[Any]] = set()
        self.background = Background()

    @property
    def free(self) -> bool:
        return self.state == State.STATE_IDLE and self.attempt is None and not self.recycle

    @property
    def up(self) -> bool:
        """Whether its process takes messages; it does one thing after another."""
        return bool(self.children) and self.state in (State.STATE_IDLE, State.STATE_BUSY)

    def takes(self, family: str) -> bool:
        return self.state != State.STATE_QUARANTINED and family not in self.crashes.quarantined

    @property
    def healthy(self) -> bool:
        """A canary came through lately, or a job moves, or it is loading."""
        if self.state not in (State.STATE_IDLE, State.STATE_BUSY) or self.silent:
            return False
        if self.attempt is not None:
            return not self.attempt.overdue
        return time.monotonic() - self.last_good < self.settings.health_s

    @property
    def silent(self) -> bool:
        """Whether it has not beaten for longer than it may."""
        limit = self.settings.worker_patience_s if self.patient else self.settings.worker_silence_s
        return time.monotonic() - self.last_sign > limit

    async def run(self) -> None:
        """Until `stop`: start, serve, bury, wait a little longer each time."""
        while not self.is_stopping():
            started = time.monotonic()
            loss = await self.life()
            if self.is_stopping():
                break
            self.restarts += 1
            self.metrics.worker_restarts.labels(loss.reason.lower()).inc()
            if time.monotonic() - started > self.settings.restart_most_s or not loss.crash:
                self.failures_in_row = 0
            if loss.crash and self.crashes.too_many(""):
                await self.quarantine()
                continue
            delay = min(self.settings.restart_first_s * 2**self.failures_in_row, self.settings.restart_most_s)
            self.failures_in_row += 1
            if loss.crash:
                await self.pause(delay)

    def is_stopping(self) -> bool:
        """May change with every await."""
        return self.stopping

    async def pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.revive.wait(), seconds)
        self.revive.clear()

    async def quarantine(self) -> None:
        self.log.error("crashed too often; it stays down until RestartWorker")
        self.state = State.STATE_QUARANTINED
        self.wake()
        await self.revive.wait()
        self.revive.clear()

    async def life(self) -> Loss:
        """From start to end of one set of processes."""
        self.state, self.kill_reason, self.recycle, self.canary.open = State.STATE_STARTING, "", False, False
        self.patient, self.last_sign = True, time.monotonic()
        self.models = []
        try:
            self.children = [await self.start_rank(rank) for rank in range(self.settings.gang)]
            if self.stopping:  # told while they were being started
                self.kill("drained")
            tasks = [asyncio.create_task(self.serve(i, child)) for i, child in enumerate(self.children)]
            tasks.append(asyncio.create_task(self.watch()))
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            for task in done:
                if not task.cancelled() and (error := task.exception()) is not None:
                    self.log.error("following the worker failed", exc_info=error)
            return await self.bury()
        finally:
            for child in self.children:
                child.signal(signal.SIGKILL)
            self.metrics.worker_up.labels(self.id).set(0)

    async def start_rank(self, rank: int) -> Child:
        s = self.settings
        ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(s.gang)} if s.gang > 1 else {}
        return await Child.start(
            "wancore_server.worker", self.device, str(s.worker_beat_s), str(s.resident_models), str(rank),
            ",".join(self.disabled()), str(s.recycle_growth), str(s.recycle_least_bytes),
            log=self.log, environment=ranks,
        )  # fmt: skip

    async def serve(self, rank: int, child: Child) -> None:
        """Takes what a process says until it ends."""
        async with aclosing(batches(child, partial(self.beat, rank))) as said:
            async for messages in said:
                if rank == 0:
                    await self.take(messages)

    def beat(self, rank: int, beat: wire_pb2.Beat) -> None:
        if rank == 0:
            self.last_sign, self.patient, self.memory_bytes = (
                time.monotonic(),
                beat.patient,
                beat.memory_bytes,
            )
            self.metrics.worker_memory.labels(self.id).set(beat.memory_bytes)
            for kind, size in beat.device_memory.items():
                self.metrics.gpu_memory.labels(self.id, kind).set(size)

    async def take(self, messages: list[wire_pb2.FromWorker]) -> None:
        about: list[wire_pb2.FromWorker] = []
        for message in messages:
            kind = message.WhichOneof("message")
            if kind == "ready":
                self.ready(message.ready)
            elif kind == "resident":
                self.models = list(message.resident.models)
                self.loras = list(message.resident.loras)
            elif kind == "canary":
                self.canary_done(message.canary.good)
            elif self.attempt is not None and getattr(message, str(kind)).lease == self.attempt.lease:
                about.append(message)
        if about and self.attempt is not None:
            await self.about_attempt(self.attempt, about)

    async def about_attempt(self, attempt: Tenant, messages: list[wire_pb2.FromWorker]) -> None:
        ended = await attempt.handle(messages)
        if ended is None:
            return
        self.release()
        if reason_of(ended.error) == "GPU_OUT_OF_MEMORY":
            self.canary.send(self.children[0])
        self.recycle = self.recycle or ended.spent
        if self.recycle:
            self.kill("recycled")
        # The frames of this job may still be encoded while the next one runs.
        self.background.start(attempt.finish(ended), f"finish {attempt.name}")
        self.wake()

    def release(self) -> None:
        for task in self.stops:
            task.cancel()
        self.stops.clear()
        self.attempt = None
        self.log.fields = {"worker": self.id}
        if self.state == State.STATE_BUSY:
            self.state = State.STATE_IDLE
        self.last_good = time.monotonic()

    def ready(self, message: wire_pb2.Ready) -> None:
        if self.recycle:  # asked for while it was starting
            self.kill("recycled")
            return
        self.state = State.STATE_IDLE
        self.last_good = time.monotonic()
        self.metrics.worker_up.labels(self.id).set(1)
        self.log.info("worker ready on %s", message.device)
        self.canary.send(self.children[0])
        self.wake()

    def canary_done(self, good: bool) -> None:
        self.canary.open = False
        if good:
            self.last_good = time.monotonic()
        else:
            self.kill("canary")

    async def watch(self) -> None:
        """Ends the processes when they are silent or stuck."""
        pause = min(1.0, self.settings.worker_silence_s / 10)
        while True:
            await asyncio.sleep(pause)
            if any(child.process.returncode is not None for child in self.children):
                # What a plugin forked may hold socket and pipes open, so that nobody else is told.
                await asyncio.sleep(LAST_WORDS_S)
                return
            if self.silent:
                self.kill("silent")
                return
            if self.attempt is not None and self.attempt.overdue and not self.stops:
                self.log.error("no progress; stopping the attempt", extra={"reason": "STALLED"})
                self.stop_attempt("stalled")
            idle = self.attempt is None and self.state == State.STATE_IDLE
            if idle and self.canary.late(self.settings.worker_patience_s):
                self.kill("canary")
                return
            if idle and self.canary.due(self.settings.canary_s):
                self.canary.send(self.children[0])

    def start(self, attempt: Tenant, command: wire_pb2.RunJob, trace: Trace | None = None) -> None:
        """Gives it an attempt; `free` must hold. What the process logs is told with its ids."""
        self.state, self.attempt = State.STATE_BUSY, attempt
        self.log.fields = {"worker": self.id, "job": attempt.lease.job, "attempt": attempt.lease.attempt}
        if trace is not None:
            self.log.fields["trace_id"] = trace.trace_id
        attempt.send = self.children[0].send
        attempt.stop_worker = lambda: self.stop_attempt("cancelled")
        self.children[0].send(wire_pb2.ToWorker(run=command))

    def stop_attempt(self, reason: str) -> None:
        """Asks, then terminates, then kills."""
        if self.attempt is None:
            return
        self.attempt.stopped_for = reason
        self.children[0].send(wire_pb2.ToWorker(cancel=wire_pb2.CancelAttempt(lease=self.attempt.lease)))
        if not self.stops:
            self.stops.add(asyncio.create_task(self.escalate(reason)))

    async def escalate(self, reason: str) -> None:
        await asyncio.sleep(self.settings.cancel_grace_s)
        self.kill_reason = self.kill_reason or reason
        self.log.warning("did not stop when asked; terminating", extra={"reason": reason})
        for child in self.children:
            child.signal(signal.SIGTERM)
        await asyncio.sleep(self.settings.terminate_grace_s)
        self.kill(reason)

    def kill(self, reason: str) -> None:
        self.kill_reason = self.kill_reason or reason
        for child in self.children:
            child.signal(signal.SIGKILL)

    async def bury(self) -> Loss:
        """After one of the processes has ended: the others too, and the job goes back or fails."""
        for child in self.children:
            child.signal(signal.SIGKILL)
        statuses = [await child.wait() for child in self.children]
        loss = self.loss(statuses)
        attempt = self.attempt
        family = attempt.family if attempt is not None else ""
        self.release()
        self.state = State.STATE_STARTING
        if loss.crash:
            self.crashes.add(family)
        level = logging.ERROR if loss.crash else logging.INFO
        self.log.log(level, "worker ended: %s, %s", loss.reason, statuses, extra={"reason": loss.reason})
        if attempt is not None:
            await attempt.lost(loss)
        self.wake()
        return loss

    def loss(self, statuses: list[int]) -> Loss:
        if self.kill_reason:
            deliberate = ("cancelled", "recycled", "operator", "drained")
            return Loss(self.kill_reason.upper(), crash=self.kill_reason not in deliberate)
        return Loss("EXITED" if all(s in (0, -9) for s in statuses) else "CRASHED", crash=True)

    def restart(self) -> None:
        """By the operator: also out of quarantine."""
        self.crashes.clear()
        self.failures_in_row = 0
        self.revive.set()
        if self.state != State.STATE_QUARANTINED:
            self.kill("operator")

    def renew(self) -> None:
        """Fresh processes: at once, or after the job that runs."""
        self.crashes.clear()
        self.recycle = True
        self.revive.set()
        if self.attempt is None and self.state != State.STATE_QUARANTINED:
            self.kill("recycled")

    async def stop(self) -> None:
        self.stopping = True
        self.revive.set()
        self.kill("drained")

    def described(self, catalog: Catalog) -> admin_service_pb2.Worker:
        """`catalog` has the resource names of what the engine calls otherwise."""
        return admin_service_pb2.Worker(
            name=f"workers/{self.id}",
            state=self.state,
            device=self.device,
            job=self.busy_with("jobs/"),
            session=self.busy_with("sessions/"),
            rank_count=self.settings.gang,
            restart_count=self.restarts,
            models=[catalog.model_name(model) for model in self.models],
            quarantined_families=[f"families/{f}" for f in sorted(self.crashes.quarantined)],
            memory_bytes=self.memory_bytes,
            loras=catalog.loras.names(self.loras),
        )

    def busy_with(self, collection: str) -> str:
        name = self.attempt.name if self.attempt is not None else ""
        return name if name.startswith(collection) else ""
