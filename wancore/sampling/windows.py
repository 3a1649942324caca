"""Overlapping windows: which frames of a long clip the model sees together, step by step.

Each step predicts every window of its list and fuses them (fusion.py). All numbers are latent frames.
Source: the context schedules of ComfyUI-AnimateDiff-Evolved, as ComfyUI-WanVideoWrapper uses them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from wancore.errors import InvalidInput

#: Clip frames in the order in which the model sees them.
Window = tuple[int, ...]

WindowSchedule = Literal["static_standard", "uniform_standard", "uniform_looped"]
Fuse = Literal["linear", "pyramid"]


@dataclass(frozen=True)
class WindowPlan:
    """Windows of `size` frames, neighbours sharing `overlap`, 0 <= overlap < size.

    `schedule`: `static_standard` is the same list at every step, the last window ending with the clip;
    the uniform ones start at another frame at every step and, with a `stride` s > 1, also look at
    every 2nd, 4th ... 2^(s-1)th frame. `uniform_looped` lets windows run over the end of the clip
    into its beginning; `uniform_standard` moves such windows back to the end.
    `fuse`: how predictions weigh in where windows overlap (see fusion.py).
    Raises InvalidInput.
    """

    schedule: WindowSchedule
    size: int
    overlap: int
    stride: int = 1
    fuse: Fuse = "linear"

    def __post_init__(self) -> None:
        if self.schedule not in get_args(WindowSchedule):
            raise InvalidInput(
                "windows.schedule", self.schedule, f"one of {', '.join(get_args(WindowSchedule))}"
            )
        if self.fuse not in get_args(Fuse):
            raise InvalidInput("windows.fuse", self.fuse, f"one of {', '.join(get_args(Fuse))}")
        if self.size < 1:
            raise InvalidInput("windows.size", self.size, "at least 1 latent frame")
        if not 0 <= self.overlap < self.size:
            raise InvalidInput(
                "windows.overlap", self.overlap, f"0 to {self.size - 1}, below the window's size"
            )
        if self.stride < 1:
            raise InvalidInput("windows.stride", self.stride, "at least 1")

    @classmethod
    def of_pixel_frames(
        cls,
        schedule: WindowSchedule = "static_standard",
        frames: int = 81,
        overlap: int = 16,
        stride: int = 4,
        fuse: Fuse = "linear",
        compression: int = 4,
    ) -> WindowPlan:
        """The plan for windows of `frames` pixel frames; `compression`: pixel frames to a latent frame."""
        size = (frames - 1) // compression + 1
        return cls(schedule, size, overlap // compression, max(stride // compression, 1), fuse)

    @property
    def looped(self) -> bool:
        return self.schedule == "uniform_looped"

    def at(self, step: int, frames: int) -> list[Window]:
        """The windows of step number `step` over a clip of `frames`; every frame is in one of them.

        Raises InvalidInput if the stride is so wide that a window would hold a frame twice.
        """
        windows = scheduled(self, step, frames)
        if any(len(set(w)) < len(w) or max(w) >= frames for w in windows):
            accepted = (
                f"a smaller one: windows of {self.size} frames do not fit a clip of {frames} that often"
            )
            raise InvalidInput("windows.stride", self.stride, accepted)
        return windows


def scheduled(plan: WindowPlan, step: int, frames: int) -> list[Window]:
    """The windows of one step as the schedule states them."""
    if frames <= plan.size:
        return [tuple(range(frames))]
    if plan.schedule == "static_standard":
        return static_windows(frames, plan.size, plan.overlap)
    windows = looped_windows(step, frames, plan)
    return windows if plan.looped else unlooped(windows, frames, plan.size)


def static_windows(frames: int, size: int, overlap: int) -> list[Window]:
    """Windows from frame 0 on; the one that reaches the end is moved back to end there."""
    starts = range(0, frames - size, size - overlap)
    return [tuple(range(s, s + size)) for s in (*starts, frames - size)]


def looped_windows(step: int, frames: int, plan: WindowPlan) -> list[Window]:
    """Windows that tile the clip as a ring, from a start that moves with the step, at each spacing."""
    halving = bit_reversed(step)
    offset = round(frames * halving)
    spacings = min(plan.stride, math.ceil(math.log2(frames / plan.size)) + 1)
    windows = []
    for spacing in (2**i for i in range(spacings)):
        span = plan.size * spacing
        for start in range(int(halving * spacing) + offset, frames + offset, span - plan.overlap):
            windows.append(tuple(f % frames for f in range(start, start + span, spacing)))
    return windows


def bit_reversed(step: int) -> float:
    """The van der Corput sequence in base 2: 0, 1/2, 1/4, 3/4, 1/8 ..."""
    return int(f"{step:064b}"[::-1], 2) / 2**64


def unlooped(windows: list[Window], frames: int, size: int) -> list[Window]:
    """Moves windows that run over the end back to it, and starts one where such a window came out."""
    result = list(windows)
    i = 0
    while i < len(result):
        wrapped = first_wrapped(result[i])
        if wrapped is not None:
            result[i] = moved_to_end(result[i], frames)
            if wrapped not in result[(i + 1) % len(result)]:
                result.insert(i + 1, tuple(range(wrapped, wrapped + size)))
        i += 1
    return list(dict.fromkeys(result))


def first_wrapped(window: Window) -> int | None:
    """The first frame that lies before the one ahead of it in the window."""
    return next((after for before, after in pairwise(window) if after < before), None)


def moved_to_end(window: Window, frames: int) -> Window:
    relative = [(f - window[0]) % frames for f in window]
    return tuple(f + frames - 1 - relative[-1] for f in relative)


def part_of(window: Window, frames: int, parts: int) -> int:
    """Which of `parts` prompts (or reference images) a window of a clip of `frames` gets, from 0.

    The clip falls into equal parts; the window belongs to the part that its last frame lies in.
    """
    return min(int(max(window) / (frames / parts)), parts - 1)
