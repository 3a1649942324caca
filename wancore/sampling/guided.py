"""The velocity of one step: the passes that count, the methods around them, combined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from wancore.sampling.combination import combine
from wancore.sampling.guidance import Guidance
from wancore.sampling.hooks import Step
from wancore.sampling.method import Call, Method
from wancore.transformer.runblocks import RunBlocks, run_blocks


@dataclass(frozen=True)
class Pass:
    """What a predictor is asked for: one pass, with what the methods want of it."""

    call: Call
    variants: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)
    skip: frozenset[int] = frozenset()
    run: RunBlocks = run_blocks


#: Velocity [C, F, h, w] of one pass at x [C, F, h, w].
PredictPass = Callable[[Tensor, Pass], Tensor]


class Guided:
    """Predicts a step's velocity: `guided(x, step)`."""

    def __init__(
        self,
        predict: PredictPass,
        guidance: Guidance,
        methods: Sequence[Method] = (),
        expert: Callable[[Step], str] = lambda step: "",
        window: int = 0,
    ) -> None:
        self.predict, self.guidance, self.methods = predict, guidance, tuple(methods)
        self.expert, self.window = expert, window

    def __call__(self, x: Tensor, step: Step) -> Tensor:
        weights = self.guidance.weights(step)
        predictions = {
            name: self._pass(x, Call(step, name, self.window, self.expert(step)))
            for name in self.guidance.passes
            if weights[name] != 0
        }
        velocity = combine(self.guidance, step, predictions, self.methods)
        for method in self.methods:
            velocity = method.velocity(velocity, x, step)
        return velocity

    def _pass(self, x: Tensor, call: Call) -> Tensor:
        asked = Pass(
            call,
            self.guidance.passes[call.name],
            {slot: data for m in self.methods for slot, data in m.data(call).items()},
            frozenset().union(*(m.skip_blocks(call) for m in self.methods)),
            self._run_blocks(call),
        )

        def predict(x: Tensor) -> Tensor:
            return self.predict(x, asked)

        around_pass: Callable[[Tensor], Tensor] = predict
        for method in self.methods:
            around_pass = partial(method.around_pass, call, around_pass)
        return around_pass(x)

    def _run_blocks(self, call: Call) -> RunBlocks:
        run = run_blocks
        for method in self.methods:
            if type(method).around_blocks is not Method.around_blocks:
                run = partial(around, method, call, run)
        return run


def around(
    method: Method,
    call: Call,
    inner: RunBlocks,
    blocks: Callable[[Tensor], Tensor],
    x: Tensor,
    e: Tensor,
    e0: Tensor,
) -> Tensor:
    """`method` around whatever runs the blocks inside it."""
    return method.around_blocks(call, lambda x: inner(blocks, x, e, e0), x, e, e0)
