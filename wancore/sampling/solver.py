"""What a solver is: a schedule of noise levels, and a step from one level to the next.

Flow matching: x = (1 - sigma) x0 + sigma noise, velocity v = noise - x0, so x0 = x - sigma v.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

#: Draws standard normal noise of the given shape, float32, from the request's CPU generator.
Draw = Callable[[torch.Size], Tensor]


@dataclass(frozen=True)
class Schedule:
    """Noise levels of one run of n steps.

    `sigmas` [n + 1] float32, 0..1, falling: before each step, and after the last one.
    `timesteps` [n] float32 or int64: what the model is shown at each step, 0..1000.
    """

    sigmas: Tensor
    timesteps: Tensor

    def __len__(self) -> int:
        return len(self.timesteps)


class Solver(Protocol):
    """Advances a latent along one schedule; holds the history of that one run."""

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        """The latent at `sigmas[i + 1]`, from `x` at `sigmas[i]` and the model's velocity there.

        `x`, `velocity`: float32, any shape. Steps are taken in order, each once.
        """
        ...


@dataclass(frozen=True)
class SolverSpec:
    """A solver that a user can name.

    `schedule(steps, shift)` makes the noise levels; `make(schedule)` a fresh solver for one run.
    """

    name: str
    help: str
    schedule: Callable[[int, float], Schedule]
    make: Callable[[Schedule], Solver]
