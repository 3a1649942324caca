"""A session's worker, from the gateway's side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from google.rpc import code_pb2, status_pb2
from wancore_proto.v1 import job_pb2
from wancore_proto.v1alpha import session_service_pb2 as pb

from wancore_server.errors import ApiError
from wancore_server.metrics import Metrics
from wancore_server.sessions.session import HeldBlock, LiveSession, State
from wancore_server.settings import ServerSettings
from wancore_server.wire import wire_pb2
from wancore_server.workers.tenant import Loss


class SessionRun:
    """The `Tenant` of a slot. `ended(session)` is called when the worker has let go of it."""

    def __init__(
        self, session: LiveSession, epoch: int, settings: ServerSettings, metrics: Metrics,
        ended: Callable[[LiveSession], None],
    ) -> None:  # fmt: skip
        self.session, self.epoch, self.settings, self.metrics = session, epoch, settings, metrics
        self.let_go = ended
        self.started = self.last_progress = time.monotonic()
        self.stage = job_pb2.STAGE_LOADING_MODEL
        self.slowest_step = 0.0
        self.effects: list[
            tuple[int, float]
        ] = []  # blocks that controls act in, and when those were asked for
        self.stopped_for = "stopped"
        self.send: Callable[[wire_pb2.ToWorker], None] = lambda message: None
        self.stop_worker: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return self.session.name

    @property
    def owner(self) -> str:
        return self.session.owner

    @property
    def family(self) -> str:
        return self.session.family

    @property
    def lease(self) -> wire_pb2.Lease:
        return wire_pb2.Lease(job=self.session.id, attempt=1, epoch=self.epoch)

    @property
    def waits(self) -> bool:
        """Whether the worker waits for the client."""
        return self.session.info.state == State.STATE_LIVE and self.stage == job_pb2.STAGE_UNSPECIFIED

    @property
    def overdue(self) -> bool:
        if self.waits:
            return False
        allowed = max(self.settings.watchdog_min_s, self.settings.watchdog_factor * self.slowest_step)
        return time.monotonic() - self.last_progress > allowed

    def feed(self, **content: object) -> None:
        """Something for the session at the worker."""
        live = wire_pb2.LiveInput(lease=self.lease, **content)  # type: ignore[arg-type]
        self.send(wire_pb2.ToWorker(live=live))

    async def handle(self, messages: Sequence[wire_pb2.FromWorker]) -> wire_pb2.Ended | None:
        for message in messages:
            kind = message.WhichOneof("message")
            if kind == "progress" and not message.progress.started:
                self.progress(message.progress.stage)
            elif kind == "settled":
                self.settle(message.settled)
            elif kind == "live_block":
                self.block(message.live_block)
            elif kind == "steered":
                self.steered(message.steered)
            elif kind == "retried":
                text = f"block {message.retried.block} failed ({message.retried.reason}) and is made again"
                self.session.tell(warning=job_pb2.Warning(reason="BLOCK_RETRIED", message=text))
            elif kind == "ended":
                return message.ended
        return None

    def progress(self, stage: job_pb2.StageProgress) -> None:
        now = time.monotonic()
        if stage.stage == job_pb2.STAGE_DENOISING and self.stage == stage.stage:
            self.slowest_step = max(self.slowest_step, now - self.last_progress)
        self.stage, self.last_progress = stage.stage, now
        self.session.tell(stage=stage)

    def settle(self, settled: wire_pb2.Settled) -> None:
        info = self.session.info
        info.format.CopyFrom(settled.format)
        info.seed, info.state = settled.seed, State.STATE_LIVE
        self.session.tell(settled=pb.SessionSettled(format=settled.format, seed=settled.seed))

    def block(self, block: wire_pb2.LiveBlock) -> None:
        session = self.session
        self.last_progress = time.monotonic()
        for role, used in block.used_samples.items():
            session.sounds[role].used = used
        self.metrics.frames.labels(session.family).inc(block.frame_count)
        held = HeldBlock(
            block.block, block.first_frame, block.frame_count, Path(block.path), tuple(block.crc32c)
        )
        session.hold(held)
        now = time.monotonic()
        for _, asked in (effect for effect in self.effects if effect[0] <= block.block):
            self.metrics.control_to_frame.observe(now - asked)
        self.effects = [effect for effect in self.effects if effect[0] > block.block]

    def steered(self, steered: wire_pb2.LiveSteered) -> None:
        result = pb.ControlResult(id=steered.id, block=steered.block)
        if steered.HasField("error"):
            result.error.CopyFrom(steered.error)
        asked = self.session.controls.pop(steered.id, None)
        if asked is not None and not steered.HasField("error"):
            self.effects.append((steered.block, asked))
        self.session.tell(control=result)

    async def finish(self, ended: wire_pb2.Ended) -> None:
        if ended.how == wire_pb2.Ended.SUCCEEDED:
            self.over(None)
        elif ended.how == wire_pb2.Ended.FAILED:
            self.over(ended.error)
        else:
            await self.lost(Loss(self.stopped_for.upper(), crash=False))

    async def lost(self, loss: Loss) -> None:
        """The last complete block is told: who shows frames knows where to go on from."""
        made = self.session.info.block_count
        metadata = {"reason": loss.reason, "last_block": str(made - 1) if made else ""}
        text = "the worker of this session was lost; a new session can be made"
        self.over(ApiError(code_pb2.ABORTED, "SESSION_LOST", text, metadata).status())

    def over(self, error: status_pb2.Status | None) -> None:
        self.session.run = None
        self.session.end(error)
        self.let_go(self.session)
