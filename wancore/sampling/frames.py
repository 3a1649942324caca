"""Clocks with a noise level per latent frame (diffusion forcing)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.sampling.solver import Draw, MakeSolver, Schedule

FRAMES = -3  # latents are [..., F, h, w]


@dataclass(frozen=True)
class FrameRows:
    """A run of R model calls in which every latent frame has its own timestep.

    `timesteps` [R, F], 0..1000: what the model is shown. `update` [R, F] bool: the frames that are
    stepped. `valid`: per call, the first latent frame the model is given and the first it is not.
    """

    timesteps: Tensor
    update: Tensor
    valid: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.valid)


class PerFrame:
    """One solver per latent frame, each with a history and a place in the schedule of its own.

    A frame advances only when it is updated; all of them walk the same `schedule`.
    """

    def __init__(self, schedule: Schedule, make: MakeSolver, frames: int) -> None:
        self.solvers = [make(schedule) for _ in range(frames)]
        self.done = [0] * frames

    def step(self, update: Sequence[bool], x: Tensor, velocity: Tensor, draw: Draw, first: int = 0) -> Tensor:
        """`x` with the frames of `update` moved one level on.

        `x`, `velocity` [..., n, h, w] are the n frames that the model was given, the first of which is
        frame `first`; `update` [n] says which to step. Stochastic solvers draw frame by frame.
        """
        stepped = list(x.unbind(FRAMES))
        velocities = velocity.unbind(FRAMES)
        for place, chosen in enumerate(update):
            if chosen:
                frame = first + place
                solver, i = self.solvers[frame], self.done[frame]
                stepped[place] = solver.step(i, stepped[place], velocities[place], draw)
                self.done[frame] = i + 1
        return torch.stack(stepped, dim=FRAMES)
