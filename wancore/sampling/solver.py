"""What a solver is: a schedule of noise levels, and a step from one level to the next.

Flow matching: x = (1 - sigma) x0 + sigma noise, velocity v = noise - x0, so x0 = x - sigma v.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from wancore.errors import InvalidInput

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Draw(Protocol):
    """Draws standard normal noise of the given shape, float32, from the run's CPU generator."""

    def __call__(self, shape: torch.Size, /) -> Tensor: ...


@dataclass(frozen=True)
class Schedule:
    """Noise levels of one run of n steps.

    `sigmas` [n + 1] float32, 0..1, falling: before each step, and after the last one.
    `timesteps` [n] float32 or int64: what the model is shown at each step, 0..1000.
    `noise_scale`: the run starts from this times the initial noise.
    `whole`: the number of steps of the schedule that this one is a part of; None: it is all of it.

    Raises InvalidInput if a step does not lower the noise level.
    """

    sigmas: Tensor
    timesteps: Tensor
    noise_scale: float = 1.0
    whole: int | None = None

    def __post_init__(self) -> None:
        if len(self.sigmas) != len(self.timesteps) + 1:
            raise ValueError(f"{len(self.sigmas)} noise levels for {len(self.timesteps)} steps")
        levels = self.sigmas.tolist()
        falls = all(after < before for before, after in pairwise(levels))
        if not (len(self) and falls and levels[0] <= 1 and levels[-1] >= 0):
            accepted = "levels from at most 1 to at least 0 that fall at every step (fewer steps spread them)"
            raise InvalidInput("sigmas", levels, accepted)

    def __len__(self) -> int:
        return len(self.timesteps)

    @property
    def planned(self) -> int:
        """Number of steps of the whole schedule."""
        return len(self) if self.whole is None else self.whole


class Solver(Protocol):
    """Advances a latent along one schedule; holds the history of that one run."""

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        """The latent at `sigmas[i + 1]`, from `x` at `sigmas[i]` and the model's velocity there.

        `x`, `velocity`: float32, any shape. Steps are taken in order from 0, each once.
        """
        ...


MakeSchedule = Callable[[int, float], Schedule]
MakeSolver = Callable[[Schedule], Solver]


@dataclass(frozen=True)
class SolverSpec:
    """A solver that a user can name.

    `schedule(steps, shift)` makes the noise levels; `make(schedule)` a fresh solver for one run.
    `free_levels`: `make` also takes levels that the user lists; False for a solver that is nothing
    but its own fixed levels.
    """

    name: str
    help: str
    schedule: MakeSchedule
    make: MakeSolver
    free_levels: bool = True
