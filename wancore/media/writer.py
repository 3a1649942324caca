"""What every way of writing frames has in common."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from wancore.errors import InvalidInput
from wancore.media.pixels import Pixels

MIN_FPS, MAX_FPS = 1, 1000
MAX_FPS_DENOMINATOR = 100_000  # enough for 30000/1001 and for rates given to five places


class FrameWriter(Protocol):
    """Takes frames as they come and keeps none of them.

    A context manager: leaving it, by an exception or an interrupt too, finishes the output with the
    frames written so far. `frames`: how many those are.
    """

    frames: int

    def write(self, frames: Pixels) -> None:
        """uint8 [n, H, W, 3], the next n frames. Raises `InvalidInput` for another type or size."""

    def close(self) -> None:
        """Finishes the output; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_frames(frames: Pixels, size: tuple[int, int]) -> None:
    """`size` is (width, height). Raises `InvalidInput`."""
    width, height = size
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (height, width, 3):
        given = f"{frames.dtype}{list(frames.shape)}"
        raise InvalidInput("frames", given, f"uint8 [n, {height}, {width}, 3]")


def check_size(size: tuple[int, int]) -> None:
    """`size` is (width, height). Raises `InvalidInput`."""
    if min(size) < 1:
        raise InvalidInput("size", size, "a width and a height of at least 1 pixel")


def frame_rate(fps: Fraction | int) -> Fraction:
    """A frame rate that files can hold. Raises `InvalidInput`."""
    rate = Fraction(fps)
    if not MIN_FPS <= rate <= MAX_FPS or rate.denominator > MAX_FPS_DENOMINATOR:
        accepted = f"{MIN_FPS} to {MAX_FPS}, as a fraction over at most {MAX_FPS_DENOMINATOR}"
        raise InvalidInput("fps", str(fps), accepted)
    return rate
