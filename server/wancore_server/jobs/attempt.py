"""One attempt at a job, from the gateway's side: what its worker says becomes events and states."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from google.rpc import code_pb2
from wancore_proto.v1 import frames_pb2, job_pb2

from wancore_server.clock import duration, now_ns, timestamp
from wancore_server.errors import ApiError
from wancore_server.frames.room import Room
from wancore_server.frames.spool import Spool
from wancore_server.frames.tracks import Tracks
from wancore_server.jobs.ledger import Ledger, Move
from wancore_server.jobs.live import LiveJob
from wancore_server.jobs.states import (
    ACTIVE,
    CANCELLED,
    CANCELLING,
    FAILED,
    QUEUED,
    RUNNING,
    STARTING,
    SUCCEEDED,
    event,
)
from wancore_server.metrics import Metrics
from wancore_server.store import Frames
from wancore_server.wire import wire_pb2
from wancore_server.workers.tenant import Loss

log = logging.getLogger(__name__)
MEDIA_TYPES = {
    frames_pb2.ENCODING_RAW_RGB8: "application/octet-stream",
    frames_pb2.ENCODING_PNG: "image/png",
    frames_pb2.ENCODING_JPEG: "image/jpeg",
    frames_pb2.ENCODING_H264_FMP4: "video/mp4",
    frames_pb2.ENCODING_H264_ANNEX_B: "video/h264",
}
ALIVE = (STARTING, RUNNING)


@dataclass(frozen=True)
class Surroundings:
    """What attempts need of the gateway."""

    ledger: Ledger
    spool: Spool
    tracks: Tracks
    room: Room
    metrics: Metrics
    measured: Callable[[LiveJob, float], Awaitable[None]]
    spool_wait_s: float
    watchdog_min_s: float
    watchdog_factor: float
    max_crashes: int = 2


class Attempt:
    """Follows one attempt; `send` reaches its worker while there is one."""

    def __init__(self, live: LiveJob, epoch: int, around: Surroundings) -> None:
        self.live, self.epoch, self.around = live, epoch, around
        self.number = live.attempt
        self.started = self.last_progress = time.monotonic()
        self.stage_since = self.started
        self.slowest_step = 0.0
        self.size = (0, 0)
        self.blocks = 0
        self.last_block: float | None = None
        self.worker_done = False
        self.stopped_for = "stopped"
        self.send: Callable[[wire_pb2.ToWorker], None] = lambda message: None
        self.stop_worker: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return f"jobs/{self.live.id}"

    @property
    def owner(self) -> str:
        return self.live.owner

    @property
    def family(self) -> str:
        return self.live.family

    @property
    def lease(self) -> wire_pb2.Lease:
        return wire_pb2.Lease(job=self.live.id, attempt=self.number, epoch=self.epoch)

    @property
    def overdue(self) -> bool:
        """Whether nothing has moved for much longer than a step takes."""
        allowed = max(self.around.watchdog_min_s, self.around.watchdog_factor * self.slowest_step)
        return not self.worker_done and time.monotonic() - self.last_progress > allowed

    async def handle(self, messages: Sequence[wire_pb2.FromWorker]) -> wire_pb2.Ended | None:
        """A batch of what the worker said, stored in as few writes as can be; the end, if it is there."""
        entries: list[job_pb2.JobEvent | Frames] = []
        for message in messages:
            kind = message.WhichOneof("message")
            if kind == "progress":
                if message.progress.started:
                    await self.begin()
                else:
                    entries.append(self.progress(message.progress.stage))
            elif kind == "settled":
                await self.flush(entries)
                await self.settle(message.settled)
            elif kind == "preview":
                self.preview(message.preview)
            elif kind == "noted":
                note = job_pb2.Warning(reason="NOTE", message=message.noted.text)
                entries.append(event(self.number, warning=note))
            elif kind == "block":
                entries.append(self.block(message.block))
            elif kind == "sound":
                await self.flush(entries)
                await self.heard(message.sound.size_bytes)
            elif kind == "need_room":
                await self.flush(entries)
                await self.make_room(message.need_room.total_bytes)
            elif kind == "ended":
                await self.flush(entries)
                self.worker_done = True
                self.last_stage()
                return message.ended
        await self.flush(entries)
        return None

    async def flush(self, entries: list[job_pb2.JobEvent | Frames]) -> None:
        """Data first, synced; then the index and the events."""
        if not entries:
            return
        if any(isinstance(entry, Frames) for entry in entries):
            await self.around.spool.sync(self.live.id, self.number)
        await self.around.ledger.append(self.live, self.number, ACTIVE, list(entries))
        entries.clear()

    async def begin(self) -> None:
        """The worker has confirmed: RUNNING."""

        def edit(info: job_pb2.Job) -> None:
            info.start_time.CopyFrom(timestamp(now_ns()))

        await self.around.ledger.move(self.live, Move({STARTING}, RUNNING, edit=edit))

    async def settle(self, settled: wire_pb2.Settled) -> None:
        def edit(info: job_pb2.Job) -> None:
            info.format.CopyFrom(settled.format)
            info.seed = settled.seed

        header = frames_pb2.StreamHeader(
            job=f"jobs/{self.live.id}", attempt=self.number, format=settled.format, seed=settled.seed
        )
        entry = event(self.number, header=header)
        await self.around.ledger.append(self.live, self.number, ACTIVE, [entry], edit)
        self.moved()

    async def heard(self, size: int) -> None:
        """The sound is there before the first frame, as a file of its own."""
        artifact = job_pb2.Artifact(
            name=f"jobs/{self.live.id}/artifacts/0", size_bytes=size, media_type="audio/wav"
        )

        def edit(info: job_pb2.Job) -> None:
            info.artifacts.append(artifact)

        entry = event(self.number, artifact=job_pb2.ArtifactReady(artifact=artifact))
        await self.around.ledger.append(self.live, self.number, ACTIVE, [entry], edit)

    def moved(self) -> None:
        self.last_progress = time.monotonic()

    def progress(self, stage: job_pb2.StageProgress) -> job_pb2.JobEvent:
        now, family, metrics = time.monotonic(), self.live.family, self.around.metrics
        before = self.live.progress
        if stage.stage == job_pb2.STAGE_DENOISING and stage.step > 1:
            metrics.step.labels(family).observe(now - self.last_progress)
            self.slowest_step = max(self.slowest_step, now - self.last_progress)
        if stage.stage != before.stage:
            if before.stage:
                name = job_pb2.Stage.Name(before.stage).removeprefix("STAGE_").lower()
                metrics.stage.labels(family, name).observe(now - self.stage_since)
                self.span(name, now - self.stage_since)
                if before.stage == job_pb2.STAGE_LOADING_MODEL and self.live.model:
                    metrics.model_load.labels(self.live.model).observe(now - self.stage_since)
            self.stage_since = now
        if stage.stage == job_pb2.STAGE_DECODING:
            stage.step, stage.step_count = before.step, before.step_count
        self.moved()
        self.live.progress = stage
        return event(self.number, stage=stage)

    def last_stage(self) -> None:
        """The one that the worker's end has ended."""
        if self.live.progress.stage:
            name = job_pb2.Stage.Name(self.live.progress.stage).removeprefix("STAGE_").lower()
            seconds = time.monotonic() - self.stage_since
            self.around.metrics.stage.labels(self.live.family, name).observe(seconds)
            self.span(name, seconds)

    def span(self, stage: str, seconds: float) -> None:
        if self.live.trace is not None:
            self.live.trace.span(stage, seconds, job=self.live.id, attempt=self.number)

    def preview(self, preview: wire_pb2.PreviewMade) -> None:
        self.live.preview = tuple(preview.pictures)
        self.live.preview_number += 1
        self.live.news.tell()

    def block(self, block: wire_pb2.BlockWritten) -> Frames:
        metrics, family = self.around.metrics, self.live.family
        self.moved()
        if self.last_block is None:
            metrics.first_frame.labels(family).observe(self.last_progress - self.started)
        else:
            metrics.frame_interval.labels(family).observe(self.last_progress - self.last_block)
        metrics.frames.labels(family).inc(block.frame_count)
        self.last_block = self.last_progress
        self.blocks += 1
        crcs = struct.pack(f"<{len(block.crc32c)}I", *block.crc32c)
        return Frames(
            self.blocks - 1, block.first_frame, block.frame_count, block.offset_bytes,
            block.width * block.height * 3, crcs, now_ns(),
        )  # fmt: skip

    async def make_room(self, total: int) -> None:
        """Room in the spool as soon as there is some; the worker gives up by itself."""
        started = time.monotonic()
        granted = await self.around.room.grant(self.live.id, total, self.around.spool_wait_s)
        self.around.metrics.spool_wait.inc(time.monotonic() - started)
        if granted:
            self.moved()
            self.send(wire_pb2.ToWorker(room=wire_pb2.SpoolRoom(lease=self.lease, total_bytes=granted)))

    async def finish(self, ended: wire_pb2.Ended) -> None:
        """The worker's last word: the job's end, unless something else has ended it."""
        if ended.how == wire_pb2.Ended.SUCCEEDED and self.live.state in ALIVE:
            await self.succeed(ended)
        elif ended.how == wire_pb2.Ended.FAILED:
            await self.around.ledger.move(
                self.live, Move(ALIVE, FAILED, error=ended.error, result=self.figures(ended))
            )
        await self.close_cancelled()
        if ended.how == wire_pb2.Ended.CANCELLED and self.live.state in ALIVE:
            # Told to stop without the job being cancelled: the drain, or the watchdog.
            await self.lost(Loss(self.stopped_for.upper(), crash=self.stopped_for == "stalled"))
        self.leave()

    def figures(self, ended: wire_pb2.Ended) -> job_pb2.JobResult:
        result = job_pb2.JobResult(run_duration=duration(time.monotonic() - self.started))
        if ended.first_frame_s:
            result.first_frame_latency.CopyFrom(duration(ended.first_frame_s))
        result.stage_seconds.update(dict(ended.stage_seconds))
        return result

    async def succeed(self, ended: wire_pb2.Ended) -> None:
        seconds = time.monotonic() - self.started
        artifacts: list[job_pb2.Artifact] = []
        problem: ApiError | None = None
        there = len(self.live.info.artifacts)
        for number, encoding in enumerate(self.live.info.spec.delivery.encodings, there):
            if not self.live.frame_count:
                break
            self.live.progress = job_pb2.StageProgress(stage=job_pb2.STAGE_ENCODING_OUTPUT)
            try:
                size = await self.around.tracks.complete(self.live, self.number, encoding)
            except ApiError as error:
                problem = error
                break
            if self.live.state not in ALIVE:
                return
            artifacts.append(
                job_pb2.Artifact(
                    name=f"jobs/{self.live.id}/artifacts/{number}",
                    encoding=encoding,
                    size_bytes=size,
                    media_type=MEDIA_TYPES[encoding],
                )
            )
        if problem is not None:
            await self.around.ledger.move(self.live, Move(ALIVE, FAILED, error=problem.status()))
            return

        def edit(info: job_pb2.Job) -> None:
            info.artifacts.extend(artifacts)

        ready = [event(self.number, artifact=job_pb2.ArtifactReady(artifact=a)) for a in artifacts]
        if ready:
            await self.around.ledger.append(self.live, self.number, ALIVE, ready, edit)
        await self.around.ledger.move(self.live, Move(ALIVE, SUCCEEDED, result=self.figures(ended)))
        if self.live.state == SUCCEEDED:
            self.around.metrics.job_run.labels(self.live.family).observe(seconds)
            await self.around.measured(self.live, seconds)

    async def close_cancelled(self) -> None:
        """CANCELLING becomes CANCELLED once nothing works at the job any more."""
        if await self.around.ledger.move(self.live, Move({CANCELLING}, CANCELLED)):
            asked = self.live.cancel_asked
            if asked is not None:
                self.around.metrics.cancel.observe(time.monotonic() - asked)

    async def lost(self, loss: Loss) -> None:
        """The worker is gone: another attempt, or the end."""
        self.worker_done = True
        crashes = self.live.crashes + loss.crash
        if crashes >= self.around.max_crashes:
            text = f"{crashes} workers were lost under this job, the last one by {loss.reason}"
            error = ApiError(code_pb2.INTERNAL, "WORKER_CRASHED", text, {"last": loss.reason})
            await self.around.ledger.move(
                self.live, Move(ALIVE, FAILED, crashes=crashes, error=error.status())
            )
        else:
            warning = job_pb2.Warning(
                reason=loss.reason, message="the worker was lost; there will be another attempt"
            )
            back = Move(ALIVE, QUEUED, crashes=crashes, events=[event(self.number, warning=warning)])
            await self.around.ledger.move(self.live, back)
        await self.close_cancelled()
        self.leave()

    def leave(self) -> None:
        """The attempt is over; what it wrote is counted with the ended jobs by now."""
        self.around.room.release(self.live.id)
        if self.live.run is self:
            self.live.run = None

    async def cancel(self) -> None:
        """After the job became CANCELLING."""
        if self.worker_done:
            await self.close_cancelled()
        else:
            self.stop_worker()
