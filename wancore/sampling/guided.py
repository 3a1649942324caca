"""The velocity of one step: the passes that count, the methods around them, combined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from wancore.sampling.combination import combine
from wancore.sampling.guidance import Filter, Guidance
from wancore.sampling.hooks import Step
from wancore.sampling.loop import Velocity
from wancore.sampling.method import Call, Method
from wancore.transformer.layout import Layout
from wancore.transformer.runblocks import RunBlocks, run_blocks


def same_layout(layout: Layout) -> Layout:
    return layout


@dataclass(frozen=True)
class Pass:
    """What a predictor is asked for: one pass, with what the methods want of it.

    `data`, `skip`, `run` go into the inputs of the prediction as they are; `layout` is applied to
    the row layout.
    """

    call: Call
    variants: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)
    skip: frozenset[int] = frozenset()
    run: RunBlocks = run_blocks
    layout: Callable[[Layout], Layout] = same_layout


#: Velocity [C, F, h, w] of one pass at x [C, F, h, w].
PredictPass = Callable[[Tensor, Pass], Tensor]

#: Velocities of several passes at the same x, in their order.
PredictPasses = Callable[[Tensor, Sequence[Pass]], Sequence[Tensor]]


class Guided:
    """Predicts a step's guided velocity at one window's frames (or at all of them): `guided(x, step)`.

    `together`: predicts several passes in one call; used where no method acts around a pass.
    """

    def __init__(
        self,
        predict: PredictPass,
        guidance: Guidance,
        methods: Sequence[Method] = (),
        expert: Callable[[Step], str] = lambda step: "",
        window: int = 0,
        together: PredictPasses | None = None,
    ) -> None:
        self.predict, self.guidance, self.methods = predict, guidance, tuple(methods)
        self.expert, self.window = expert, window
        free = not any(overrides(m, "around_pass") for m in self.methods)
        self.together = together if free else None
        self._filters: dict[str, list[Filter | None]] = {}

    def __call__(self, x: Tensor, step: Step) -> Tensor:
        passes = [
            self._asked(Call(step, name, self.window, self.expert(step)))
            for name in self.guidance.needed(step)
        ]
        if self.together is not None and len(passes) > 1:
            velocities = self.together(x, passes)
        else:
            velocities = [self._pass(x, asked) for asked in passes]
        names = (asked.call.name for asked in passes)
        predictions = dict(zip(names, velocities, strict=True))
        return combine(self.guidance, step, predictions, self.methods, self._filters_at(step))

    def _filters_at(self, step: Step) -> list[Filter | None]:
        """The directions' filters of this run and expert; a run begins with fresh ones."""
        if step.index == 0:
            self._filters.clear()
        expert = self.expert(step)
        if expert not in self._filters:
            self._filters[expert] = self.guidance.filters()
        return self._filters[expert]

    def _asked(self, call: Call) -> Pass:
        return Pass(
            call,
            self.guidance.passes[call.name],
            {slot: data for m in self.methods for slot, data in m.data(call).items()},
            frozenset().union(*(m.skip_blocks(call) for m in self.methods)),
            self._run_blocks(call),
            self._layout(call),
        )

    def _pass(self, x: Tensor, asked: Pass) -> Tensor:
        def predict(x: Tensor) -> Tensor:
            return self.predict(x, asked)

        around_pass: Callable[[Tensor], Tensor] = predict
        for method in self.methods:
            around_pass = partial(method.around_pass, asked.call, around_pass)
        return around_pass(x)

    def _run_blocks(self, call: Call) -> RunBlocks:
        run = run_blocks
        for method in self.methods:
            if overrides(method, "around_blocks"):
                run = partial(around, method, call, run)
        return run

    def _layout(self, call: Call) -> Callable[[Layout], Layout]:
        changing = [m for m in self.methods if overrides(m, "layout")]
        if not changing:
            return same_layout

        def changed(layout: Layout) -> Layout:
            for method in changing:
                layout = method.layout(call, layout)
            return layout

        return changed


def overrides(method: Method, point: str) -> bool:
    return getattr(type(method), point) is not getattr(Method, point)


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


def surrounded(velocity: Velocity, methods: Sequence[Method]) -> Velocity:
    """The velocity of the whole canvas with the methods' `around_velocity` around it: what `denoise` takes.

    `velocity` is a `Guided`, or a `Windowed` over several.
    """
    acting = [m for m in methods if overrides(m, "around_velocity")]

    def predict(x: Tensor, step: Step) -> Tensor:
        def inner(x: Tensor) -> Tensor:
            return velocity(x, step)

        around_velocity: Callable[[Tensor], Tensor] = inner
        for method in acting:
            around_velocity = partial(with_step, method, step, around_velocity)
        return around_velocity(x)

    return predict if acting else velocity


def with_step(method: Method, step: Step, inner: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return method.around_velocity(inner, x, step)
