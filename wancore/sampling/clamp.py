"""Known frames of the clip: part of the result, never noised."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wancore.sampling.hooks import Step
from wancore.sampling.solver import Draw


@dataclass(frozen=True)
class KeepFrames:
    """Sets latent frames [start, start + n) to `known` [C, n, h, w] before the run and after each step."""

    known: Tensor
    start_frame: int = 0

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self.kept(x)

    def model_input(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return x

    def after_step(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self.kept(x)

    def kept(self, x: Tensor) -> Tensor:
        x = x.clone()
        x[:, self.start_frame : self.start_frame + self.known.shape[1]] = self.known.to(x)
        return x
