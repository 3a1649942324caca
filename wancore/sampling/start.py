"""Starting a run from a given latent instead of pure noise (SDEdit, arXiv:2108.01073)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wancore.sampling.hooks import NoHooks, Step
from wancore.sampling.noise import noised
from wancore.sampling.solver import Draw


@dataclass(frozen=True)
class StartFrom(NoHooks):
    """The run begins at `clean` [..., F, h, w], noised to the level that the model is shown first.

    With a schedule that begins late (`Family.begin`) much of `clean` is kept.
    """

    clean: Tensor

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return noised(self.clean, step.noise, step.timestep / 1000)
