"""EasyCache (arXiv:2507.02860; H-EmbodVis/EasyCache, EasyCache4Wan2.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from wancore.sampling.method import Call, Key, Method, Run
from wancore_caching.parameters import EasyCacheParameters
from wancore_caching.states import Skipped, States


def mean_change(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().mean())


@dataclass
class Decision:
    """One decision a step for all passes of a window, taken by the first of them.

    The velocity changes about `slope` times as much as the latent did; predicted relative changes
    add up until they reach the threshold.
    """

    step: int = -1
    skip: bool = False
    seen: Tensor | None = None  # the latent of the step before
    computed: Tensor | None = None  # the latent of the last computed step, and the velocity there
    velocity: Tensor | None = None
    slope: float | None = None
    accumulated: float = 0.0

    def take(self, x: Tensor, threshold: float, free: bool) -> None:
        """Decides for a step at latent `x`; `free`: this step may be skipped."""
        seen, self.seen = self.seen, x
        self.skip = False
        if not free:
            self.accumulated = 0.0
        elif seen is not None and self.velocity is not None and self.slope is not None:
            self.accumulated += self.slope * mean_change(x, seen) / float(self.velocity.abs().mean())
            self.skip = self.accumulated < threshold
            if not self.skip:
                self.accumulated = 0.0

    def learn(self, x: Tensor, velocity: Tensor) -> None:
        """What the deciding pass computed at `x`."""
        if self.computed is not None and self.velocity is not None:
            self.slope = mean_change(velocity, self.velocity) / mean_change(x, self.computed)
        self.computed, self.velocity = x, velocity


@dataclass
class Difference:
    """Velocity minus latent, where a pass was last computed."""

    tensor: Tensor | None = None


class EasyCache(Method):
    """Predicts a pass, or adds its last difference between velocity and latent to the latent.

    Decisions are kept by window and expert, differences by pass, window and expert.
    """

    def __init__(self, parameters: EasyCacheParameters, run: Run) -> None:
        self.parameters = parameters
        self.last = run.steps - 2 if parameters.end_step is None else parameters.end_step
        self.begin()

    def begin(self) -> None:
        self._decisions: States[Decision] = States()
        self._differences: States[Difference] = States()
        self._skipped = Skipped()

    @property
    def skipped(self) -> Mapping[Key, tuple[int, ...]]:
        return self._skipped.listed()

    def around_pass(self, call: Call, predict: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        step = call.step.index
        decision = self._decisions.at((call.window, call.expert), step, Decision)
        difference = self._differences.at(call.key, step, Difference)
        decides = decision.step != step
        if decides:
            decision.step = step
            free = self.parameters.start_step <= step <= self.last
            decision.take(x, self.parameters.threshold, free)
        if decision.skip and difference.tensor is not None:
            self._skipped.add(call)
            return x + difference.tensor.to(x.device)
        velocity = predict(x)
        if decides:
            decision.learn(x, velocity)
        kept = velocity - x
        difference.tensor = kept.cpu() if self.parameters.offload else kept
        return velocity
