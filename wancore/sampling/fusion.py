"""Fusing the predictions of overlapping windows into one velocity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.sampling.hooks import Step
from wancore.sampling.windows import Window, WindowPlan


@dataclass(frozen=True)
class WindowAt:
    """One window of one step.

    `index` is the same number whenever the same frames come again in this run; `frames`: the clip
    frames, in the order in which they are given; `total`: frames of the whole clip.
    """

    index: int
    frames: Window
    total: int


#: Velocity at one window: (x [C, head + window + tail, h, w], step, window) -> the same shape.
PredictWindow = Callable[[Tensor, Step, WindowAt], Tensor]


class Windowed:
    """Predicts the velocity of a whole canvas window by window: `windowed(x, step)`.

    `frames`: of the clip; `head`: service frames before it. Service frames, before and after, are
    in every window and fused with equal weights. Each window is a complete prediction, guidance
    included, on its own frames; what conditions it is sliced by whoever predicts.
    """

    def __init__(self, plan: WindowPlan, frames: int, predict: PredictWindow, head: int = 0) -> None:
        self.plan, self.frames, self.predict, self.head = plan, frames, predict, head
        self._numbers: dict[Window, int] = {}

    def __call__(self, x: Tensor, step: Step) -> Tensor:
        """x [C, head + frames + tail, h, w] -> velocity of the same shape."""
        windows = self.plan.at(step.index, self.frames)
        rows = [self._canvas_frames(window, x.shape[1]) for window in windows]
        weights = [self._canvas_weights(window, len(at)) for window, at in zip(windows, rows, strict=True)]
        velocity = torch.zeros_like(x)
        for window, at, weight in zip(windows, rows, normalised(rows, weights, x.shape[1]), strict=True):
            number = self._numbers.setdefault(window, len(self._numbers))
            predicted = self.predict(x[:, at], step, WindowAt(number, window, self.frames))
            velocity[:, at] += predicted * weight.to(x)[:, None, None]
        return velocity

    def _canvas_frames(self, window: Window, total: int) -> list[int]:
        clip_end = self.head + self.frames
        return [*range(self.head), *(self.head + f for f in window), *range(clip_end, total)]

    def _canvas_weights(self, window: Window, length: int) -> Tensor:
        weights = torch.ones(length)
        weights[self.head : self.head + len(window)] = window_weights(window, self.frames, self.plan)
        return weights


def window_weights(window: Window, frames: int, plan: WindowPlan) -> Tensor:
    """[len(window)] float32, 0..1: how much each frame of one window counts.

    linear: 1, rising from 0 and falling to 0 over the overlaps with neighbours, both ends included.
    pyramid: rising to the middle and falling again; not below the linear ramp of an outer edge.
    A window that touches both ends of the clip counts as inside it when windows loop.
    """
    ramp = min(plan.overlap, len(window))
    first, last = min(window) == 0, max(window) == frames - 1
    if plan.fuse == "pyramid":
        return pyramid(len(window), ramp, first and not plan.looped, last and not plan.looped)
    weights = torch.ones(len(window))
    if ramp and (not first or (plan.looped and last)):
        weights[:ramp] = torch.linspace(0, 1, ramp)
    if ramp and (not last or (plan.looped and first)):
        weights[-ramp:] = torch.linspace(1, 0, ramp)
    return weights


def pyramid(length: int, ramp: int, first: bool, last: bool) -> Tensor:
    """1 .. m .. 1 over m; `first`, `last`: the window lies at that end of the clip."""
    top = (length + 1) // 2
    weights = torch.tensor([min(i + 1, length - i) / top for i in range(length)])
    if ramp and first:
        weights[:ramp] = torch.maximum(weights[:ramp], torch.linspace(0, 1, ramp))
    if ramp and last:
        weights[-ramp:] = torch.maximum(weights[-ramp:], torch.linspace(1, 0, ramp))
    return weights


def normalised(rows: Sequence[list[int]], weights: Sequence[Tensor], total: int) -> list[Tensor]:
    """The weights divided by their sum over all windows, frame by frame: [len(window)] each.

    A frame that every window gives weight 0 (the ends of ramps do) counts equally in all of them.
    """
    covered, summed = torch.zeros(total), torch.zeros(total)
    for at, weight in zip(rows, weights, strict=True):
        covered[at] += 1
        summed[at] += weight
    shared = summed == 0
    scale = torch.where(shared, covered, summed)
    return [
        torch.where(shared[at], torch.ones_like(weight), weight) / scale[at]
        for at, weight in zip(rows, weights, strict=True)
    ]
