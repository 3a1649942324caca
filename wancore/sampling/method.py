"""A sampling method: something a user can add to any request, whatever its family.

Skip-layer guidance, normalised attention guidance, step caches, rotary tricks: each overrides the
points it needs. Points that no chosen method overrides cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from wancore.errors import Conflict, InvalidInput
from wancore.plugins.inputs import ParameterModel
from wancore.sampling.guidance import Guidance
from wancore.sampling.hooks import Step
from wancore.sampling.lazy import named

if TYPE_CHECKING:
    from torch import Tensor

    from wancore.sampling.combination import Combination
    from wancore.sampling.noise import NoiseSource
    from wancore.sampling.windows import WindowPlan
    from wancore.transformer.adapter import Adapter
    from wancore.transformer.canvas import Canvas
    from wancore.transformer.layout import Layout
    from wancore.transformer.rope import Frequencies

#: Where a method keeps state of one pass: (pass, window, expert).
Key = tuple[str, int, str]


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
    def key(self) -> Key:
        return self.name, self.window, self.expert


@dataclass(frozen=True)
class Run:
    """What a method may know when a run begins.

    `main`: the passes that carry the user's prompt; `guidance`: how passes are summed;
    `encode` turns text into encoder rows [n, C]; `negative`: the request's negative prompt;
    `head`, `frames`: latent frames of the canvas before the clip, and of the clip; `windows`: the
    overlapping windows, if the request uses them; `experts`: their names in the order of use, with
    the number of steps that each takes.
    """

    steps: int
    frames: int
    layers: int
    main: frozenset[str]
    guidance: Guidance
    encode: Callable[[str], Tensor]
    negative: str = ""
    head: int = 0
    windows: WindowPlan | None = None
    experts: Mapping[str, int] = field(default_factory=lambda: {"": 0})


class Method:
    """Base of all methods: every point leaves things as they are. One object serves one run.

    `rounds`: how often the whole denoising is repeated; above 1, `restart` is asked between rounds.
    """

    rounds: int = 1

    def begin(self) -> None:
        """Before the first step of every round: forgets what was kept between steps."""

    def canvas(self, canvas: Canvas) -> Canvas:
        """The canvas with other time positions; asked when a row layout is worked out."""
        return canvas

    def frequencies(self, frequencies: Frequencies, canvas: Canvas) -> Frequencies:
        """Rotary speeds of the canvas; asked after `canvas`."""
        return frequencies

    def initial_noise(self, noise: Tensor, source: NoiseSource) -> Tensor:
        """The noise [C, F, h, w] a run starts from, right after it was drawn from `source`."""
        return noise

    def restart(self, latent: Tensor, noise: Tensor, source: NoiseSource) -> Tensor:
        """What the next round starts from: `latent` is the last round's result, `noise` the first's start."""
        return noise

    def adapters(self) -> Mapping[str, Adapter]:
        """Weightless adapters to attach, by slot name."""
        return {}

    def data(self, call: Call) -> Mapping[str, Any]:
        """What the method's adapters read in this pass; a slot left out is off."""
        return {}

    def layout(self, call: Call, layout: Layout) -> Layout:
        """The row layout of this pass, with another attention plan for example."""
        return layout

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

    def around_velocity(self, predict: Callable[[Tensor], Tensor], x: Tensor, step: Step) -> Tensor:
        """Predicts the guided velocity of the whole canvas at x, windows fused, or answers in its place."""
        return predict(x)

    @property
    def skipped(self) -> Mapping[Key, tuple[int, ...]]:
        """The steps of this round at which the method answered in place of the model."""
        return {}


@dataclass(frozen=True)
class MethodSpec:
    """A method that a user can name: `--method NAME` or `--method NAME:field=value,field=value`.

    `parameters`: a pydantic model that declares the fields with ranges, defaults and help.
    `make(parameters, run)` makes the method of one run; raises InvalidInput if the run cannot use it.
    `order`: methods act in rising order; around a call, a later one is outside an earlier one.
    `owns`: what only one method of a request may have (a step cache, the text attention), and none
    beside a family that claims it.
    `sources`: papers and repositories.
    """

    name: str
    help: str
    parameters: type[BaseModel]
    make: Callable[[Any, Run], Method]
    order: int = 0
    owns: str = ""
    sources: tuple[str, ...] = ()


def method_at(path: str) -> Callable[[Any, Run], Method]:
    """The class `"package.module:Name"`, made from (parameters, run) and imported on first use."""

    def make(parameters: Any, run: Run) -> Method:
        method: Method = named(path)(parameters, run)
        return method

    return make


def check_together(specs: Iterable[MethodSpec]) -> None:
    """Raises InvalidInput for a method named twice, Conflict where two need what only one can have."""
    names: set[str] = set()
    owners: dict[str, str] = {}
    for spec in specs:
        if spec.name in names:
            raise InvalidInput("methods", spec.name, "each method once")
        if spec.owns in owners:
            raise Conflict(spec.owns, owners[spec.owns], spec.name)
        names.add(spec.name)
        if spec.owns:
            owners[spec.owns] = spec.name


class NoParameters(ParameterModel):
    """A method without anything to set."""


def needs_guidance(name: str, run: Run) -> None:
    """Raises InvalidInput if nothing is guided: then `name` has nothing to act on."""
    if not run.guidance.directions:
        raise InvalidInput("methods", name, f"a guidance scale other than 1 together with {name}")


def needs_one_direction(name: str, run: Run) -> None:
    """Raises InvalidInput unless guidance is one direction away from its base pass."""
    needs_guidance(name, run)
    directions = run.guidance.directions
    if len(directions) != 1 or directions[0].b != run.guidance.base:
        passes = ", ".join(run.guidance.passes)
        raise InvalidInput("methods", name, f"guidance between two passes; here the passes are {passes}")
