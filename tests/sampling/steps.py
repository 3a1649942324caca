"""Steps of runs about which only their number is known."""

import torch
from torch import Tensor

from wancore.sampling.hooks import Step


def step_at(index: int = 0, count: int = 10, x: Tensor | None = None) -> Step:
    sigma = 1 - index / count
    return Step(index, count, sigma, sigma - 1 / count, 1000 * sigma, torch.empty(0) if x is None else x)


def steps_of(count: int) -> list[Step]:
    return [step_at(i, count) for i in range(count)]
