"""Service frames that an attachment puts in front of the lead's canvas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wancore.errors import WancoreError
from wancore.sampling.hooks import Hooks, Step
from wancore.sampling.solver import Draw
from wancore.transformer.canvas import Canvas, Clock


@dataclass(frozen=True)
class Behind:
    """Hooks of a family that does not know of the `head` frames in front of its canvas."""

    hooks: Hooks
    head: int

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self._behind(self.hooks.start, x, draw, step)

    def model_input(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self._behind(self.hooks.model_input, x, draw, step)

    def after_step(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self._behind(self.hooks.after_step, x, draw, step)

    def _behind(
        self, hook: Callable[[Tensor, Draw, Step], Tensor], x: Tensor, draw: Draw, step: Step
    ) -> Tensor:
        own = replace(step, noise=step.noise[:, self.head :])
        return torch.cat((x[:, : self.head], hook(x[:, self.head :], draw, own)), dim=1)


def widened(
    head: int, canvas: Canvas, clock: Clock | None, hooks: Sequence[Hooks]
) -> tuple[Canvas, Clock | None, tuple[Hooks, ...]]:
    """The same with `head` frames in front, which run at the canvas' timestep; hooks keep their frames.

    The new frames take the first time positions, so the clip moves back in time.
    Raises `WancoreError` where the lead leaves open what the new frames are.
    """
    if canvas.times is not None:
        raise WancoreError("frames in front of the clip have no place where every frame has its own")
    try:
        behind = clock.behind(head, canvas) if clock else None
    except ValueError as error:
        raise WancoreError(f"frames in front of the clip have no timestep: {error}") from error
    return replace(canvas, head=canvas.head + head), behind, tuple(Behind(hook, head) for hook in hooks)
