"""Adaptive projected guidance (arXiv:2410.02416), as MultiTalk has it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class AdaptiveProjection:
    """A running sum of a direction, bounded, without what is parallel to the prediction.

    `momentum` (negative: against the steps before) and the sum last for one run; `threshold`: the
    largest norm over the whole latent.
    """

    momentum: float
    threshold: float
    _sum: Tensor | None = field(default=None)

    def __call__(self, difference: Tensor, base: Tensor) -> Tensor:
        """`difference`, `base` [C, F, h, w]: the direction and the pass it starts from."""
        self._sum = difference if self._sum is None else difference + self.momentum * self._sum
        bounded = self._sum * (self.threshold / self._sum.norm()).clamp(max=1)
        unit = torch.nn.functional.normalize(base.double().flatten(), dim=0)
        parallel = (bounded.double().flatten() @ unit) * unit
        return (bounded.double() - parallel.view_as(bounded)).to(difference)
