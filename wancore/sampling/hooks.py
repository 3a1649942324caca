"""The three points at which a request's extras touch the latent while it is denoised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from wancore.sampling.solver import Draw


@dataclass(frozen=True)
class Step:
    """What the loop tells a hook about the step at hand.

    `index` counts from 0 within the run, `count` is the run's number of steps.
    `sigma` and `next_sigma`, 0..1, are the noise levels before and after the step;
    `timestep`, 0..1000, is what the model is shown; `noise` is the run's initial noise.
    """

    index: int
    count: int
    sigma: float
    next_sigma: float
    timestep: float
    noise: Tensor


class Hooks(Protocol):
    """Changes to the latent outside the solver, whose history they never touch.

    `x`: float32 `[..., F, h, w]`, returned in the same shape. Noise comes from `draw`, in a fixed order.
    """

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        """Once, before the first model call: the latent the run starts from."""
        ...

    def model_input(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        """Before every model call: what the model sees; the solver goes on from `x` itself."""
        ...

    def after_step(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        """After every solver step: the latent to go on from, at `step.next_sigma`."""
        ...


class NoHooks:
    """Leaves the latent alone; a base for hooks that need only some of the points."""

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return x

    def model_input(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return x

    def after_step(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return x
