"""Step hooks that keep a part of the latent on a given one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wancore.sampling.hooks import NoHooks, Step
from wancore.sampling.noise import noised
from wancore.sampling.solver import Draw


@dataclass(frozen=True)
class DifferentialMask(NoHooks):
    """Differential diffusion (Levin and Fried, 2023, arXiv:2306.00950): a soft mask of what to regenerate.

    `original` [..., F, h, w]: the clean latent. `mask` broadcastable to it, 0..1: 1 regenerates from
    the first step on, 0 not at all. Where 1 - mask exceeds the share of the run that is done, the
    latent is put back to the original at the noise level of the next step; the last step is left as is.
    """

    original: Tensor
    mask: Tensor

    def after_step(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        if step.index == step.count - 1:
            return x
        kept = (1 - self.mask) > step.index / step.count
        return noised(self.original, step.noise, step.next_sigma).where(kept, x)


@dataclass(frozen=True)
class DualClock(NoHooks):
    """Dual-clock denoising (Singer et al., 2025, arXiv:2511.08633): a region follows a reference for a while.

    `reference` [..., F, h, w]: a clean latent. `mask` broadcastable to it, 1 in the region.
    `until`: the region is let go from this step of the run on. `levels` [count + 1]: the reference's noise
    level before each step of the run and after the last; None: the run's own.
    `noise`: what the reference is noised with; None: the run's initial noise.
    `from_reference`: whether the whole latent begins as the noised reference.
    """

    reference: Tensor
    mask: Tensor
    until: int
    levels: tuple[float, ...] | None = None
    noise: Tensor | None = None
    from_reference: bool = True

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self._at(step.index, step.sigma, step) if self.from_reference else x

    def after_step(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        if step.index >= self.until:
            return x
        return x * (1 - self.mask) + self._at(step.index + 1, step.next_sigma, step) * self.mask

    def _at(self, index: int, sigma: float, step: Step) -> Tensor:
        """The reference at the noise level before step `index`, where the run is at `sigma`."""
        noise = step.noise if self.noise is None else self.noise
        return noised(self.reference, noise, sigma if self.levels is None else self.levels[index])
