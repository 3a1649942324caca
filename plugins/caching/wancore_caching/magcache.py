"""MagCache (arXiv:2506.09045; Zehong-Ma/MagCache)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from wancore.sampling.method import Call, Run
from wancore_caching.parameters import MagCacheParameters, Rule
from wancore_caching.residual import ResidualCache
from wancore_caching.tables import Experts, MagnitudeTable, magnitudes

#: Steps that the wrapper's rule takes every run to have.
WRAPPER_STEPS = 50


def stretched(ratios: Sequence[float], steps: int) -> list[float]:
    """The ratios of one kind of pass for a run of `steps`, each from the nearest calibrated step."""
    if steps == 1:
        return [ratios[-1]]
    at = np.round(np.arange(steps) * ((len(ratios) - 1) / (steps - 1))).astype(int)
    return [ratios[i] for i in at]


def wrapper_ratios(ratios: Sequence[float], steps: int) -> list[float]:
    """The ratios that ComfyUI-WanVideoWrapper reads: half of the alternating table, kinds of pass mixed."""
    return [ratios[int(i * (len(ratios) // 2 / WRAPPER_STEPS))] for i in range(steps)]


@dataclass(frozen=True)
class Retention:
    """Which model calls are never skipped.

    Calls count two to a step, the second being that of the pass without the prompt. `split`: steps of
    the first of two experts. t2v: the first share of each expert's calls. i2v: all calls of the
    first expert, and the first share of the second's.
    """

    share: float
    steps: int
    split: int | None = None
    experts: Experts = "t2v"

    def keeps(self, call: int) -> bool:
        calls = 2 * self.steps
        if self.split is None:
            return call < int(calls * self.share)
        split = 2 * self.split
        rest = (calls - split) * self.share
        if self.experts == "i2v":
            return call < int(split + rest)
        return call < int(split * self.share) or split <= call <= rest + split


@dataclass
class MagnitudeRule:
    """Skips while the error of keeping the residual adds up to less than the threshold.

    The residual's magnitude is off by the product of the ratios since it was computed.
    `ratios` [steps]: of this kind of pass. `keeps(step)`: steps that are computed and leave the sum alone.
    wrapper: an error equal to the threshold is tolerable too, and the first step it acts on is computed.
    """

    threshold: float
    longest: int
    ratios: Sequence[float]
    keeps: Callable[[int], bool]
    rule: Rule = "upstream"
    began: bool = False
    product: float = 1.0
    error: float = 0.0
    count: int = 0

    def skips(self, step: int, e: Tensor, e0: Tensor, ready: bool) -> bool:
        if self.keeps(step):
            return False
        began, self.began = self.began, True
        if self.rule == "wrapper" and not began:
            return False
        self.product *= self.ratios[step]
        self.error += abs(1 - self.product)
        self.count += 1
        if ready and self._tolerable() and self.count <= self.longest:
            return True
        self.product, self.error, self.count = 1.0, 0.0, 0
        return False

    def _tolerable(self) -> bool:
        if self.rule == "wrapper":
            return self.threshold > 0 and self.error <= self.threshold
        return self.error < self.threshold


class MagCache(ResidualCache):
    """Decides for every pass on its own."""

    def __init__(self, parameters: MagCacheParameters, run: Run) -> None:
        table = magnitudes()[parameters.table]
        threshold = table.threshold if parameters.threshold is None else parameters.threshold
        longest = parameters.longest
        upstream = parameters.rule == "upstream"

        def rule(call: Call) -> MagnitudeRule:
            kind = 0 if call.name in run.main else 1
            if upstream:
                ratios = stretched(table.ratios[kind::2], run.steps)
                return MagnitudeRule(threshold, longest, ratios, retained(parameters, table, run, kind))
            ratios = wrapper_ratios(table.ratios, run.steps)
            return MagnitudeRule(threshold, longest, ratios, outside(parameters, run), "wrapper")

        super().__init__(rule, parameters.offload)

    def rule_key(self, call: Call) -> Hashable:
        """The sum of errors goes on when the expert changes, as in the authors' code."""
        return call.name, call.window


def retained(
    parameters: MagCacheParameters, table: MagnitudeTable, run: Run, kind: int
) -> Callable[[int], bool]:
    split = next(iter(run.experts.values())) if len(run.experts) == 2 else None
    experts = parameters.experts or table.experts or "t2v"
    retention = Retention(parameters.retention, run.steps, split, experts)
    return lambda step: retention.keeps(2 * step + kind)


def outside(parameters: MagCacheParameters, run: Run) -> Callable[[int], bool]:
    first = 1 if parameters.start_step is None else parameters.start_step
    last = run.steps - 1 if parameters.end_step is None else parameters.end_step
    return lambda step: not first <= step <= last
