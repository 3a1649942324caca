"""Known frames of the clip: part of the result, never noised."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wancore.sampling.hooks import NoHooks, Step
from wancore.sampling.noise import noise_like, noised
from wancore.sampling.solver import Draw


@dataclass(frozen=True)
class KeepFrames:
    """Holds latent frames [start, start + n) at `known` [C, n, h, w]: before the run, whenever the model
    looks, and after each step."""

    known: Tensor
    start_frame: int = 0

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self.kept(x)

    def model_input(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self.kept(x)

    def after_step(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self.kept(x)

    def kept(self, x: Tensor) -> Tensor:
        return replaced(x, self.known, self.start_frame)


@dataclass(frozen=True)
class RenoiseFrames(NoHooks):
    """Holds the first latent frames at `known` [C, n, h, w] with fresh noise of the level of `x`.

    One draw of the shape of `known` before the run and one after each step, the last one too, although
    nothing of it is left at level 0.
    """

    known: Tensor

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return replaced(x, noised(self.known, noise_like(self.known, draw), step.sigma))

    def after_step(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return replaced(x, noised(self.known, noise_like(self.known, draw), step.next_sigma))


def replaced(x: Tensor, frames: Tensor, start: int = 0) -> Tensor:
    """`x` [C, F, h, w] with `frames` [C, n, h, w] in place of its frames from `start` on."""
    x = x.clone()
    x[:, start : start + frames.shape[1]] = frames.to(x)
    return x
