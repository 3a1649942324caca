"""How far a generation is, on the terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from wancore_proto.v1 import job_pb2

from wancore_client.generation import Generation


class Display:
    """A bar for the steps and one for the frames, on standard error; updated with every event."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.console = Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self.console, transient=True,
        )  # fmt: skip
        self.steps = self.bars.add_task("waiting", total=None)
        self.made = self.bars.add_task("frames", total=None)
        self.started = time.monotonic()
        self.first_frame: float | None = None
        self.frames = 0
        before = generation.on_event

        def seen(event: job_pb2.JobEvent) -> None:
            if before is not None:
                before(event)
            self.event(event)

        generation.on_event = seen

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def event(self, event: job_pb2.JobEvent) -> None:
        kind = event.WhichOneof("event")
        if kind == "queue":
            self.bars.update(self.steps, description=f"waiting, {event.queue.position} before")
        elif kind == "stage":
            name = job_pb2.Stage.Name(event.stage.stage).removeprefix("STAGE_").lower().replace("_", " ")
            total = event.stage.step_count or None
            self.bars.update(self.steps, description=name, completed=event.stage.step, total=total)
        elif kind == "header" and event.header.HasField("format"):
            self.bars.update(self.made, total=event.header.format.frame_count or None)
        elif kind == "warning":
            warning = cast(job_pb2.Warning, event.warning)
            style = "dim" if warning.reason == "NOTE" else "yellow"
            self.console.print(Text(warning.message, style=style))
        elif kind == "attempt_started" and event.attempt_started.attempt > 1:
            self.frames = 0
            self.bars.update(self.made, completed=0)

    def frame(self) -> None:
        if self.first_frame is None:
            self.first_frame = time.monotonic() - self.started
        self.frames += 1
        self.bars.update(self.made, completed=self.frames)

    def summary(self, out: str | None) -> None:
        seconds = time.monotonic() - self.started
        parts = [self.generation.job, f"{seconds:.1f} s"]
        if self.first_frame is not None:
            parts += [f"{self.frames} frames", f"first after {self.first_frame:.2f} s"]
        if out not in (None, "-"):
            parts.append(f"written to {out}")
        self.console.print(", ".join(parts), highlight=False)
