"""A job that is followed: its frames, its progress, its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from wancore_proto.v1 import frames_pb2, job_pb2

from wancore_client.errors import FrameDamaged, JobCancelled, JobFailed
from wancore_client.frames import NAMES, Assembly, Fragment, Frame
from wancore_client.stream import Events


class Generation:
    """Iterate over it for its frames (or fragments, for H.264), once.

    After each one, `job`, `state`, `progress`, `queue`, `header`, `preview` and `skipped` are up to date;
    `on_event` gets every event as it comes. Raises `JobFailed`, `JobCancelled` at the end of a job that
    did not succeed. If the server has to start again, frames begin anew at 0, and `attempt` tells.
    """

    def __init__(
        self,
        events: Events,
        cancel: Callable[[str], job_pb2.Job],
        on_event: Callable[[job_pb2.JobEvent], None] | None = None,
        read: Callable[[str], Iterator[bytes]] = lambda name: iter(()),
    ) -> None:
        self.events, self.cancel_job, self.on_event, self.read = events, cancel, on_event, read
        self.job = ""
        self.attempt = 0
        self.state = job_pb2.Job.STATE_UNSPECIFIED
        self.header = frames_pb2.StreamHeader()
        self.progress = job_pb2.StageProgress()
        self.queue = job_pb2.QueueUpdate()
        self.preview: frames_pb2.Preview | None = None
        self.skipped = 0
        self.warnings: list[job_pb2.Warning] = []
        self.artifacts: list[job_pb2.Artifact] = []
        self.result: job_pb2.JobResult | None = None
        self.init = frames_pb2.CodecInit()
        self.assembly = Assembly()

    def __iter__(self) -> Iterator[Frame | Fragment]:
        try:
            for event in self.events:
                whole = self.take(event)
                if whole is not None:
                    yield whole
            self.check()
        finally:
            self.close()

    def frames(self) -> Iterator[Frame]:
        """The same, for encodings of single frames."""
        for whole in self:
            if isinstance(whole, Frame):
                yield whole

    def wait(self) -> job_pb2.JobResult:
        """Reads to the end, passing over frames."""
        for _ in self:
            pass
        assert self.result is not None
        return self.result

    def sound(self) -> bytes | None:
        """A WAV file of what is heard with the video; None: nothing. Known before the first frame."""
        files = [a.name for a in self.artifacts if a.media_type == "audio/wav"]
        return b"".join(self.read(files[-1])) if files else None

    def cancel(self) -> job_pb2.Job:
        """Cancels the job; the iteration then ends with `JobCancelled`."""
        return self.cancel_job(self.job)

    def close(self) -> None:
        """Stops following; the job goes on as its `on_disconnect` says."""
        self.events.close()

    def take(self, event: job_pb2.JobEvent) -> Frame | Fragment | None:
        """Takes an event in; the frame or fragment that it completes."""
        self.attempt = max(self.attempt, event.attempt)
        if self.on_event is not None:
            self.on_event(event)
        kind = event.WhichOneof("event")
        if kind == "frame":
            return self.frame(event)
        if kind == "fragment":
            return self.fragment(event)
        if kind == "header":
            self.header, self.job = event.header, event.header.job
        elif kind == "state":
            self.state = event.state.state
        elif kind == "stage":
            self.progress = event.stage
        elif kind == "queue":
            self.queue = event.queue
        elif kind == "preview":
            self.preview = event.preview
        elif kind == "codec_init":
            self.init = event.codec_init
        elif kind == "skipped":
            self.skipped += event.skipped.count
        elif kind == "warning":
            self.warnings.append(cast(job_pb2.Warning, event.warning))
        elif kind == "artifact":
            self.artifacts.append(event.artifact.artifact)
        elif kind == "result":
            self.result = event.result
            self.state = event.result.state
        return None

    def frame(self, event: job_pb2.JobEvent) -> Frame | None:
        part = event.frame
        data = self.assembly.add(event.attempt, part)
        if data is None:
            return None
        video = self.header.format
        expected = video.width * video.height * 3
        if part.encoding == frames_pb2.ENCODING_RAW_RGB8 and len(data) != expected:
            raise FrameDamaged(f"frame {part.index} has {len(data)} bytes, not {expected}")
        return Frame(
            part.index, part.pts.ToNanoseconds() / 1e9, video.width, video.height, NAMES[part.encoding], data
        )

    def fragment(self, event: job_pb2.JobEvent) -> Fragment | None:
        part = event.fragment
        data = self.assembly.add(event.attempt, part)
        return None if data is None else Fragment.of(part, self.init, data)

    def check(self) -> None:
        """Raises for a job that did not succeed."""
        if self.result is None:
            return
        if self.result.state == job_pb2.Job.STATE_FAILED:
            raise JobFailed(self.result.error)
        if self.result.state == job_pb2.Job.STATE_CANCELLED:
            raise JobCancelled(f"{self.job} was cancelled")
