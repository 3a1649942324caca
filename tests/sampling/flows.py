"""Flows with a known answer, and running a solver on one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wancore.sampling.loop import denoise
from wancore.sampling.noise import NoiseSource
from wancore.sampling.solver import MakeSolver, Schedule

Velocity = Callable[[Tensor, float], Tensor]

SHAPE = (3, 2, 2, 2)


def straight(clean: Tensor) -> Velocity:
    """The flow of a data set of one latent: it is found from any point of any path to it."""
    return lambda x, sigma: (x - clean) / sigma


def gaussian(spread: float) -> Velocity:
    """The flow of normally distributed data of standard deviation `spread`; see `gaussian_end`."""

    def velocity(x: Tensor, sigma: float) -> Tensor:
        return x * (sigma - (1 - sigma) * spread**2) / (sigma**2 + (1 - sigma) ** 2 * spread**2)

    return velocity


def gaussian_end(x: Tensor, spread: float, start: float, end: float = 0.0) -> Tensor:
    """Where the flow of `gaussian` takes `x` from level `start` to `end`: it scales with the deviation."""

    def deviation(sigma: float) -> float:
        return float(sigma**2 + (1 - sigma) ** 2 * spread**2) ** 0.5

    return x * deviation(end) / deviation(start)


def path(
    make: MakeSolver, schedule: Schedule, velocity: Velocity, noise: Tensor, seed: int = 0
) -> list[Tensor]:
    """The latents after every step."""
    steps = denoise(
        noise, schedule, make(schedule), lambda x, step: velocity(x, step.sigma), NoiseSource(seed).draw
    )
    return [stepped.x for stepped in steps]


def some_noise(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))
