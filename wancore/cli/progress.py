"""What a person sees while a video is made; always on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from wancore.events import Accepted, Event, Finished, Frames, Loading, Note
from wancore.events import Progress as Steps


class Display:
    """A line about the request, a bar for the steps with the seconds left, one for the frames."""

    def __init__(self, out: str, quiet: bool) -> None:
        self.out = out
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.bars = Progress(
            TextColumn("{task.description:>10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
        )
        self.steps: TaskID | None = None
        self.frames: TaskID | None = None
        self.expected: int | None = None
        self.sent = 0
        self.kept = 0  # of those, what is in the output

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()
        if kind is KeyboardInterrupt and self.kept:
            self.say(f"interrupted: the first {self.kept} frames are in {self.out}")

    def say(self, text: str) -> None:
        """A line above the bars, never broken."""
        self.console.print(text, soft_wrap=True)

    def show(self, event: Event) -> None:
        match event:
            case Accepted():
                self.expected = event.frames
                self.say(settled(event))
            case Loading():
                size = f" ({event.size_bytes / 1e9:.1f} GB)" if event.size_bytes >= 1e8 else ""
                self.say(f"loading {event.part}{size}")
            case Note():
                self.say(event.text)
            case Steps():
                if self.steps is None:
                    self.steps = self.bars.add_task("denoising", note="")
                left = "" if event.seconds_left is None else f"{event.seconds_left:.0f} s left"
                self.bars.update(self.steps, completed=event.step, total=event.of, note=left)
            case Frames():
                if self.frames is None:
                    self.frames = self.bars.add_task("frames", total=self.expected, note="")
                self.sent += len(event.frames)
                self.bars.update(self.frames, completed=self.sent)
            case Finished():
                spent = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in event.seconds.items())
                self.say(
                    f"{event.frames} frames in {self.out}; "
                    f"the first after {event.first_frame_seconds:.1f} s ({spent})"
                )
            case _:
                pass


def settled(event: Accepted) -> str:
    guidance = ", ".join(f"{scale:g}" for scale in event.guidance)
    return (
        f"{event.family} {event.variant}: {event.width}x{event.height}, {event.frames} frames at "
        f"{float(event.fps):g} fps, {event.steps} steps of {event.solver}, guidance {guidance}, "
        f"shift {event.shift:g}, seed {event.seed}"
    )
