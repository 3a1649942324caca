"""Where every row of a sequence lies: worked out once per grid, before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.kernels.attention import Attend
from wancore.transformer.canvas import Along, Canvas, Clock, Segment
from wancore.transformer.levels import Levels
from wancore.transformer.plan import Plan
from wancore.transformer.rope import Frequencies, Rotation
from wancore.transformer.stream import Stream


@dataclass(frozen=True)
class Layout:
    """Canvas rows, then segments with text, then segments without.

    `order`: the segments' indices as they lie in memory; `spans`: their rows by name.
    `level_source` [K]: where each level's timestep comes from, an index into the clock's levels
    followed by `fixed` timesteps. `level_frame` [K]: the clip frame a level belongs to, -1 for none.
    """

    canvas: Canvas
    clock: Clock
    order: tuple[int, ...]
    spans: dict[str, tuple[int, int]]
    text_rows: int
    levels: Levels
    level_source: Tensor
    level_frame: Tensor
    fixed: Tensor
    rotation: Rotation
    plan: Plan | None
    frequencies: Frequencies

    def times(self, t: Tensor) -> Tensor:
        """Timesteps [K] of all levels; `t` as in `Clock.at`."""
        return torch.cat((self.clock.at(t), self.fixed.to(t)))[self.level_source]

    @property
    def canvas_levels(self) -> Levels:
        """Levels of the canvas rows alone, which is all that the head reads."""
        return self.levels.first(self.canvas.rows)

    def stream(self, attend: Attend) -> Stream:
        return Stream(self.levels, self.rotation, self.canvas.rows, self.text_rows, self.plan, attend)


def build_layout(
    canvas: Canvas,
    frequencies: Frequencies,
    clock: Clock | None = None,
    segments: Sequence[Segment] = (),
    plan: Plan | None = None,
    frame_levels: bool = False,
    device: torch.device | str = "cpu",
) -> Layout:
    """`frame_levels`: rows of different clip frames get different levels, even at the same timestep.

    Raises `ValueError` where the parts do not fit each other.
    """
    clock = clock or Clock()
    order = sorted(range(len(segments)), key=lambda i: not segments[i].text)
    spans: dict[str, tuple[int, int]] = {}
    factors, source, frame = (
        [frequencies.factors(canvas.positions())],
        [clock.rows(canvas)],
        [canvas.clip_frames()],
    )
    fixed: list[float] = []
    text_rows = row = canvas.rows
    for segment in (segments[i] for i in order):
        n = len(segment.tokens)
        if segment.name in spans:
            raise ValueError(f"two segments are named {segment.name}")
        spans[segment.name] = (row, row + n)
        row += n
        text_rows = row if segment.text else text_rows
        factors.append(segment_factors(segment, canvas, frequencies))
        source.append(segment_source(segment, int(source[0][-1]), clock, fixed))
        frame.append(segment_frames(segment, canvas))
    frames = torch.cat(frame) if frame_levels else torch.full((row,), -1)
    pairs, index = torch.stack((torch.cat(source), frames), dim=1).unique(dim=0, return_inverse=True)
    levels = Levels.of(index) if len(pairs) > 1 else Levels()
    if levels.index is not None:
        levels = Levels(levels.count, levels.index.to(device), levels.runs)
    return Layout(
        canvas, clock, tuple(order), spans, text_rows, levels,
        pairs[:, 0].to(device), pairs[:, 1].to(device),
        torch.tensor(fixed, dtype=torch.float64, device=device),
        Rotation.of(torch.cat(factors), device), plan, frequencies,
    )  # fmt: skip


def segment_factors(segment: Segment, canvas: Canvas, frequencies: Frequencies) -> Tensor:
    """Rotary factors of a segment's rows, one for each of its tokens."""
    n, factors = len(segment.tokens), segment.rope(canvas, frequencies)
    if len(factors) != n:
        raise ValueError(f"segment {segment.name}: {n} tokens have {len(factors)} positions")
    if segment.along is Along.CLIP and n % canvas.frames:
        raise ValueError(f"segment {segment.name}: {n} tokens do not divide into {canvas.frames} frames")
    return factors


def segment_source(segment: Segment, running: int, clock: Clock, fixed: list[float]) -> Tensor:
    """Level source of a segment's rows; adds its own timestep to `fixed` when it has one."""
    if segment.t is None:
        return torch.full((len(segment.tokens),), running)
    if segment.t not in fixed:
        fixed.append(segment.t)
    return torch.full((len(segment.tokens),), clock.count + fixed.index(segment.t))


def segment_frames(segment: Segment, canvas: Canvas) -> Tensor:
    n = len(segment.tokens)
    if segment.along is Along.FIXED:
        return torch.full((n,), -1)
    return torch.arange(canvas.frames).repeat_interleave(n // canvas.frames)
