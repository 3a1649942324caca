"""The canvas (frames the solver owns), its clock, and segments (tokens the solver never touches)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from wancore.transformer.rope import Frequencies, grid_positions


@dataclass(frozen=True)
class Canvas:
    """`head + frames + tail` latent frames of `height` x `width` tokens; only `frames`, the clip, is decoded.

    `origin`: time position of the first canvas frame. `times`: time position of every canvas
    frame, where they are not consecutive. `noise_frames`: how many more frames noise is drawn for, where a
    model was made with references in the latent, so that a seed means the same.
    """

    frames: int
    height: int
    width: int
    head: int = 0
    tail: int = 0
    origin: float = 0.0
    times: tuple[float, ...] | None = None
    noise_frames: int = 0

    @property
    def total(self) -> int:
        return self.head + self.frames + self.tail

    @property
    def frame_rows(self) -> int:
        return self.height * self.width

    @property
    def rows(self) -> int:
        return self.total * self.frame_rows

    @property
    def clip(self) -> tuple[int, int]:
        """Rows (start, stop) of the clip."""
        return self.head * self.frame_rows, (self.head + self.frames) * self.frame_rows

    def positions(self) -> Tensor:
        """[rows, 3] float64, in frame, row, column order."""
        grid = grid_positions(self.total, self.height, self.width, (self.origin, 0, 0))
        if self.times is not None:
            if len(self.times) != self.total:
                raise ValueError(f"{len(self.times)} times for {self.total} frames")
            grid[:, 0] = torch.tensor(self.times, dtype=torch.float64).repeat_interleave(self.frame_rows)
        return grid

    def clip_frames(self) -> Tensor:
        """[rows] int64: the clip frame of every canvas row, -1 for service frames."""
        frame = torch.arange(self.total) - self.head
        frame[(frame < 0) | (frame >= self.frames)] = -1
        return frame.repeat_interleave(self.frame_rows)


@dataclass(frozen=True)
class Clock:
    """The timestep of every canvas token.

    `index`: level number per canvas frame [total] or per canvas token [rows]; None: one level.
    `scale` [K]: factor on the running timestep (0 for known frames); None: 1 throughout.
    """

    index: Tensor | None = None
    scale: Tensor | None = None

    @property
    def count(self) -> int:
        return 1 if self.index is None else int(self.index.max()) + 1

    def at(self, t: Tensor) -> Tensor:
        """Timesteps [K] of the levels; `t` [1], the running timestep, or [K], one for each level."""
        times = t.expand(self.count)
        return times if self.scale is None else times * self.scale.to(times)

    def behind(self, head: int, canvas: Canvas) -> Clock:
        """The clock of `canvas` with `head` frames in front of it, which are at the running timestep.

        Raises `ValueError` where none of the levels is known to run along.
        """
        if self.index is None or head == 0:
            return self
        if self.scale is None:
            raise ValueError("every level has a timestep of its own")
        index, scale = self.index, self.scale
        running = (scale == 1).nonzero()
        level = int(running[0]) if len(running) else len(scale)
        if not len(running):
            scale = torch.cat((scale, scale.new_ones(1)))
        count = head if len(index) == canvas.total else head * canvas.frame_rows
        return Clock(torch.cat((index.new_full((count,), level), index)), scale)

    def rows(self, canvas: Canvas) -> Tensor:
        """[rows] int64 level numbers. Raises `ValueError` if the index fits neither frames nor rows."""
        if self.index is None:
            return torch.zeros(canvas.rows, dtype=torch.int64)
        index = self.index.to("cpu", torch.int64)
        if len(index) == canvas.total:
            return index.repeat_interleave(canvas.frame_rows)
        if len(index) != canvas.rows:
            raise ValueError(f"{len(index)} levels for {canvas.total} frames of {canvas.frame_rows} rows")
        return index


class Along(Enum):
    """How a conditioning item follows the clip when a window takes a part of it."""

    FIXED = "fixed"  # the same in every window
    CLIP = "clip"  # has as many frames as the clip and is sliced with it


@dataclass(frozen=True)
class Segment:
    """Further tokens of the sequence: embedded once per window, never stepped, never decoded.

    `tokens` [n, D]. `rope(canvas, frequencies)` -> complex128 factors [n, d / 2].
    `t`: a timestep of its own; None: that of the canvas' last token.
    `text`: whether its rows take part in text attention.
    """

    name: str
    tokens: Tensor
    rope: Callable[[Canvas, Frequencies], Tensor]
    t: float | None = None
    text: bool = True
    along: Along = Along.FIXED
