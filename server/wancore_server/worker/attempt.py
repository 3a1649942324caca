"""One attempt at a job, from the worker's side."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from time import perf_counter
from typing import Any, cast

from numpy.typing import NDArray
from wancore_proto.v1 import frames_pb2, job_pb2

from wancore.events import (
    Accepted,
    Event,
    Finished,
    Frames,
    Loading,
    Note,
    Preview,
    Progress,
    SoundTrack,
)
from wancore.request import Request, parse_request
from wancore_server.clock import duration
from wancore_server.errors import cut
from wancore_server.jobs.fields import without_paths
from wancore_server.wire import wire_pb2
from wancore_server.worker.failures import is_out_of_memory, status_of
from wancore_server.worker.link import Link
from wancore_server.worker.runners import Runners
from wancore_server.worker.settled import video_format
from wancore_server.worker.soundfile import write_wav
from wancore_server.worker.spoolfile import Cancelled, SpoolFile

log = logging.getLogger(__name__)
PREVIEW_QUALITY = 80
MAX_PREVIEWS = 16


class WorkerAttempt:
    """Runs a request, writes its frames and tells the gateway."""

    def __init__(self, run: wire_pb2.RunJob, link: Link, runners: Runners) -> None:
        self.command, self.link, self.runners = run, link, runners
        self.lease = run.lease
        self.cancelled = threading.Event()
        self.spool = SpoolFile(run, self.need_room, self.cancelled)
        self.stage = job_pb2.STAGE_UNSPECIFIED
        self.started = perf_counter()
        self.first_frame = 0.0
        self.seconds: dict[str, float] = {}
        self.out_of_memory = False

    def cancel(self) -> None:
        self.cancelled.set()
        self.spool.wake()

    def need_room(self, total: int) -> None:
        self.link.send(need_room=wire_pb2.NeedRoom(lease=self.lease, total_bytes=total))

    def run(self) -> None:
        """Always ends with one `ended` message, unless the process dies."""
        self.tell(job_pb2.STAGE_UNSPECIFIED, started=True)
        try:
            request = parse_request(json.loads(self.command.request))
            with closing(cast(Any, self.events(request))) as events:
                self.follow(events)
            ended = wire_pb2.Ended(how=wire_pb2.Ended.SUCCEEDED)
        except Cancelled:
            ended = wire_pb2.Ended(how=wire_pb2.Ended.CANCELLED)
        except Exception as error:
            ended = self.failure(error)
        finally:
            self.spool.close()
        ended.lease.CopyFrom(self.lease)
        ended.first_frame_s = self.first_frame
        ended.stage_seconds.update(self.seconds)
        ended.spent = self.runners.level.grown(self.runners.models)
        self.link.be_patient(False)
        self.link.send(ended=ended)

    def events(self, request: Request) -> Iterator[Event]:
        return self.runners.run(request)

    def failure(self, error: Exception) -> wire_pb2.Ended:
        log.exception("attempt failed")
        self.out_of_memory = is_out_of_memory(error)
        plugin, version = self.plugin()
        status = status_of(error, plugin, version, json.loads(self.command.request))
        return wire_pb2.Ended(how=wire_pb2.Ended.FAILED, error=status)

    def plugin(self) -> tuple[str, str]:
        """Distribution and version that the lead family comes from."""
        family = json.loads(self.command.request).get("family")
        for name, found in self.runners.plugins.collect("wancore_families"):
            if found.id == family:
                for status in self.runners.plugins.status:
                    if status.name == name:
                        return status.distribution, status.version
        return "", ""

    def follow(self, events: Iterator[Event]) -> None:
        for event in events:
            if self.cancelled.is_set():
                raise Cancelled
            self.handle(event)

    def handle(self, event: Event) -> None:
        if isinstance(event, Accepted):
            self.link.send(settled=self.settled(event))
        elif isinstance(event, Loading):
            self.tell(stage_of(event.part), detail=event.part)
        elif isinstance(event, Progress):
            self.tell(job_pb2.STAGE_DENOISING, event)
        elif isinstance(event, Preview):
            if self.command.previews:
                self.link.send(preview=wire_pb2.PreviewMade(lease=self.lease, pictures=pictures(event)))
        elif isinstance(event, SoundTrack):
            size = write_wav(self.spool.path.with_suffix(".wav"), event)
            self.link.send(sound=wire_pb2.SoundWritten(lease=self.lease, size_bytes=size))
        elif isinstance(event, Frames):
            self.write(event)
        elif isinstance(event, Note):
            for line in event.text.splitlines():
                self.link.send(noted=wire_pb2.Noted(lease=self.lease, text=cut(without_paths(line), 500)))
        elif isinstance(event, Finished):
            self.seconds = dict(event.seconds)

    def settled(self, event: Accepted) -> wire_pb2.Settled:
        return wire_pb2.Settled(lease=self.lease, format=video_format(event), seed=event.seed)

    def tell(
        self, stage: job_pb2.Stage, progress: Progress | None = None, detail: str = "", started: bool = False
    ) -> None:
        self.stage = stage
        # Loading and encoding may sit in native code that holds the interpreter.
        self.link.be_patient(stage not in (job_pb2.STAGE_DENOISING, job_pb2.STAGE_DECODING))
        message = job_pb2.StageProgress(stage=stage, detail=cut(detail, 200))
        if progress is not None:
            message.step, message.step_count, message.window = progress.step, progress.of, progress.window
            if progress.seconds_left is not None:
                message.remaining.CopyFrom(duration(progress.seconds_left))
        self.link.send(progress=wire_pb2.Progress(lease=self.lease, stage=message, started=started))

    def write(self, event: Frames) -> None:
        if self.stage != job_pb2.STAGE_DECODING:
            self.tell(job_pb2.STAGE_DECODING)
        block = self.spool.append(event.index, event.frames)
        block.lease.CopyFrom(self.lease)
        self.first_frame = self.first_frame or perf_counter() - self.started
        self.link.send(block=block)


def stage_of(part: str) -> job_pb2.Stage:
    """The stage in which the engine's `Loading` of this part falls."""
    if part == "inputs":
        return job_pb2.STAGE_ENCODING_INPUTS
    if "text" in part:
        return job_pb2.STAGE_ENCODING_TEXT
    return job_pb2.STAGE_LOADING_MODEL


def pictures(event: Preview) -> list[frames_pb2.Preview]:
    """At most `MAX_PREVIEWS` of the preview's frames, evenly chosen, as JPEG."""
    stride = max(1, -(-len(event.frames) // MAX_PREVIEWS))
    chosen = event.frames[::stride]
    return [
        frames_pb2.Preview(step=event.step, window=event.window, index=i, count=len(chosen), jpeg=jpeg(frame))
        for i, frame in enumerate(chosen)
    ]


def jpeg(frame: NDArray[Any]) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, format="JPEG", quality=PREVIEW_QUALITY)
    return buffer.getvalue()
