"""A live session, from the worker's side: an attempt that is fed while it runs, and ends block by block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from wancore_proto.v1 import job_pb2

from wancore.events import BlockDone, BlockRetried, Event, Frames, Steered
from wancore.live import Live, LiveClosed, Steering
from wancore.request import Request
from wancore_server.wire import wire_pb2
from wancore_server.worker.attempt import WorkerAttempt
from wancore_server.worker.failures import api_error
from wancore_server.worker.link import Link
from wancore_server.worker.runners import Runners
from wancore_server.worker.spoolfile import Cancelled


class WorkerSession(WorkerAttempt):
    """Frames of a block go into a file of their own, which the gateway reads and removes."""

    def __init__(self, run: wire_pb2.RunJob, link: Link, runners: Runners) -> None:
        super().__init__(run, link, runners)
        self.live = Live(run.live.roles, run.live.sample_rate, run.live.allowed_blocks)
        self.live.on_wait = self.waits
        self.folder = Path(run.spool_path)
        self.held: list[NDArray[Any]] = []
        self.renew()

    def renew(self) -> None:
        self.live.renew(self.command.live.lease_s)

    def waits(self, waiting: bool) -> None:
        """So that the gateway can tell a client that is silent from a worker that is stuck."""
        self.tell(job_pb2.STAGE_UNSPECIFIED if waiting else job_pb2.STAGE_ENCODING_INPUTS)

    def cancel(self) -> None:
        super().cancel()
        self.live.close()

    def take(self, message: wire_pb2.LiveInput) -> None:
        """On the listening thread."""
        kind = message.WhichOneof("input")
        if kind == "sound":
            pcm = np.frombuffer(message.sound.pcm16, "<i2")
            self.live.push(pcm.astype(np.float32) / np.float32(32768), message.sound.role)
        elif kind == "allowed_blocks":
            self.live.allow(message.allowed_blocks)
        elif kind == "pause":
            block = self.live.pause(message.pause.paused)
            self.link.send(steered=wire_pb2.LiveSteered(lease=self.lease, id=message.pause.id, block=block))
        elif kind == "ended_role":
            self.live.end(message.ended_role or None)
        elif kind == "steer":
            asked = message.steer
            prompt = asked.prompt if asked.HasField("prompt") else None
            negative = asked.negative_prompt if asked.HasField("negative_prompt") else None
            self.live.steer(Steering(asked.id, prompt, negative))
        elif kind == "renewed":
            self.renew()

    def events(self, request: Request) -> Iterator[Event]:
        return self.runners.run_live(request, self.live)

    def follow(self, events: Iterator[Event]) -> None:
        try:
            super().follow(events)
        except LiveClosed:
            if self.cancelled.is_set():
                raise Cancelled from None
            raise

    def handle(self, event: Event) -> None:
        if isinstance(event, BlockDone):
            self.send_block(event)
        elif isinstance(event, BlockRetried):
            told = wire_pb2.LiveRetried(lease=self.lease, block=event.block, reason=event.reason)
            self.link.send(retried=told)
        elif isinstance(event, Steered):
            self.link.send(steered=self.steered(event))
        else:
            super().handle(event)

    def write(self, event: Frames) -> None:
        self.held.append(event.frames)

    def send_block(self, event: BlockDone) -> None:
        frames, self.held = np.concatenate(self.held), []
        path = self.folder / f"{event.block}.rgb"
        with path.open("wb") as file:
            file.write(np.ascontiguousarray(frames).data)
        block = wire_pb2.LiveBlock(
            lease=self.lease, block=event.block, path=str(path), first_frame=event.first_frame,
            frame_count=event.frames, crc32c=[google_crc32c.value(frame.tobytes()) for frame in frames],
            used_samples={role: heard.start for role, heard in self.live.sounds.items()},
        )  # fmt: skip
        self.link.send(live_block=block)

    def steered(self, event: Steered) -> wire_pb2.LiveSteered:
        told = wire_pb2.LiveSteered(lease=self.lease, id=event.id, block=event.block)
        if event.error is not None:
            told.error.CopyFrom(api_error(event.error, "", "", {}).status())
        return told
