"""Caches that put the last residual of the blocks in place of the blocks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from wancore.sampling.method import Call, Key, Method
from wancore_caching.states import Skipped, States


class Rule(Protocol):
    """Decides for one pass, step after step."""

    def skips(self, step: int, e: Tensor, e0: Tensor, ready: bool) -> bool:
        """Whether the blocks may be skipped; e [K, D], e0 [K, 6, D].

        `ready`: there is a residual to put in their place. Without one the answer is False.
        """
        ...


@dataclass
class Kept:
    """What the blocks added to their input [n, D] when one pass was last computed."""

    residual: Tensor | None = None


class ResidualCache(Method):
    """Runs the blocks, or adds what they added last time. State is kept by pass, window and expert.

    `rule(call)` makes the rule of a pass. `offload`: residuals wait in host memory.
    """

    def __init__(self, rule: Callable[[Call], Rule], offload: bool) -> None:
        self.rule, self.offload = rule, offload
        self.begin()

    def begin(self) -> None:
        self._rules: States[Rule] = States()
        self._residuals: States[Kept] = States()
        self._skipped = Skipped()

    def rule_key(self, call: Call) -> Hashable:
        """Calls with the same key share a rule."""
        return call.key

    @property
    def skipped(self) -> Mapping[Key, tuple[int, ...]]:
        return self._skipped.listed()

    def around_blocks(
        self, call: Call, blocks: Callable[[Tensor], Tensor], x: Tensor, e: Tensor, e0: Tensor
    ) -> Tensor:
        step = call.step.index
        rule = self._rules.at(self.rule_key(call), step, lambda: self.rule(call))
        kept = self._residuals.at(call.key, step, Kept)
        if rule.skips(step, e, e0, kept.residual is not None) and kept.residual is not None:
            self._skipped.add(call)
            return x + kept.residual.to(x.device)
        out = blocks(x)
        residual = out - x
        kept.residual = residual.cpu() if self.offload else residual
        return out
