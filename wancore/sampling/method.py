"""A sampling method: something a user can add to any request, whatever its family.

Skip-layer guidance, normalised attention guidance, step caches, rotary tricks: each overrides the
points it needs. Points that no chosen method overrides cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from wancore.sampling.hooks import Step

if TYPE_CHECKING:
    from torch import Tensor

    from wancore.sampling.combination import Combination
    from wancore.transformer.adapter import Adapter
    from wancore.transformer.canvas import Canvas
    from wancore.transformer.rope import Frequencies


@dataclass(frozen=True)
class Call:
    """One pass of one step: `name` of the pass, `window` (0 without overlapping windows), `expert`.

    State that a method keeps between steps is keyed by `key`.
    """

    step: Step
    name: str
    window: int = 0
    expert: str = ""

    @property
    def key(self) -> tuple[str, int, str]:
        return self.name, self.window, self.expert


@dataclass(frozen=True)
class Run:
    """What a method may know when a run begins.

    `main`: the passes that carry the user's prompt; `encode` turns text into encoder rows [n, C];
    `frames`: latent frames of the clip; `experts`: their names in the order of use, with the number
    of steps that each takes.
    """

    steps: int
    frames: int
    layers: int
    main: frozenset[str]
    encode: Callable[[str], Tensor]
    experts: Mapping[str, int] = field(default_factory=lambda: {"": 0})


class Method:
    """Base of all methods: every point leaves things as they are. One object serves one run."""

    def frequencies(self, frequencies: Frequencies, canvas: Canvas) -> Frequencies:
        """Rotary speeds of the canvas."""
        return frequencies

    def adapters(self) -> Mapping[str, Adapter]:
        """Weightless adapters to attach, by slot name."""
        return {}

    def data(self, call: Call) -> Mapping[str, Any]:
        """What the method's adapters read in this pass; a slot left out is off."""
        return {}

    def skip_blocks(self, call: Call) -> frozenset[int]:
        """Blocks left out of this pass with everything on them."""
        return frozenset()

    def around_blocks(
        self, call: Call, blocks: Callable[[Tensor], Tensor], x: Tensor, e: Tensor, e0: Tensor
    ) -> Tensor:
        """Runs the blocks on canvas tokens x [n, D], or answers in their place."""
        return blocks(x)

    def around_pass(self, call: Call, predict: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Predicts the velocity of one pass at x [C, F, h, w], or answers in its place."""
        return predict(x)

    def combine(self, combination: Combination) -> None:
        """Changes predictions, scales or differences before they are summed."""

    def velocity(self, velocity: Tensor, x: Tensor, step: Step) -> Tensor:
        """The guided velocity, before the solver takes it."""
        return velocity


@dataclass(frozen=True)
class MethodSpec:
    """A method that a user can name: `--method NAME` or `--method NAME:field=value,field=value`.

    `parameters`: a pydantic model that declares the fields with ranges, defaults and help.
    `make(parameters, run)` makes the method of one run. `order`: methods act in rising order.
    """

    name: str
    help: str
    parameters: type[BaseModel]
    make: Callable[[Any, Run], Method]
    order: int = 0
