"""Adapters in use on a model: changed from step to step, described, and taken off again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from weakref import WeakSet

import torch
from torch import Tensor, nn

from wancore.errors import WancoreError
from wancore.lora.branch import Branches
from wancore.lora.choose import Choice
from wancore.lora.held import HeldFile
from wancore.lora.in_floats import InFloats
from wancore.lora.merge import Merged
from wancore.lora.read import LoraFile
from wancore.lora.slots import Slot
from wancore.lora.spec import LoraSpec
from wancore.lora.statistics import Statistics
from wancore.lora.streaming import Streamed
from wancore.lora.terms import Change
from wancore.quant.weight import QuantisationError

Editing = Callable[[], AbstractContextManager[None]]

#: Modules that have adapters on them: applying others on top would make what is restored a matter of order.
_IN_USE: WeakSet[nn.Module] = WeakSet()


def claim(modules: Sequence[nn.Module]) -> None:
    """Notes that these modules have adapters on them. Raises `WancoreError` where one has some already."""
    if any(module in _IN_USE for module in modules):
        raise WancoreError("this model has adapters on it: restore it first")
    _IN_USE.update(modules)


@dataclass(frozen=True)
class Lora:
    """An adapter that was asked for, and its file; `held`: what of it is in memory already."""

    spec: LoraSpec
    path: Path
    held: HeldFile | None = field(default=None, compare=False, repr=False)


@dataclass
class AppliedLoras:
    """Adapters in use on one model; `restore` takes them off, as does leaving a `with`.

    `changes`: what, `choices`: how and why, by parameter. `editing`: surrounds every change of a weight.
    """

    modules: Sequence[nn.Module]
    loras: Sequence[Lora]
    files: Sequence[LoraFile]
    changes: Mapping[str, Change]
    choices: Mapping[str, Choice]
    slots: Mapping[str, Slot]
    statistics: Statistics
    editing: Editing = nullcontext
    merged: dict[str, Merged] = field(default_factory=dict)
    in_floats: dict[str, InFloats] = field(default_factory=dict)
    streamed: dict[str, Streamed] = field(default_factory=dict)
    branches: Branches | None = None
    _strengths: tuple[float, ...] | None = None

    def set_step(self, step: int) -> bool:
        """The strengths of a step, counted from 0. True if any changed: what was computed with the weights
        before (embedded text, recorded references) is then out of date."""
        return self.set_strengths([lora.spec.strength_at(step) for lora in self.loras])

    def set_strengths(self, by_adapter: Sequence[float]) -> bool:
        """Strengths of their own, one for each adapter. True if any changed."""
        strengths = tuple(by_adapter)
        if len(strengths) != len(self.loras):
            raise ValueError(f"{len(strengths)} strengths for {len(self.loras)} adapters")
        if strengths == self._strengths:
            return False
        self._strengths = strengths
        travelling = [streamed for streamed in self.streamed.values() if streamed.travels]
        editing = self.editing if self.merged or self.in_floats or travelling else nullcontext
        with editing():
            with self.statistics.stage("merging"):
                for merged in self.merged.values():
                    merged.set(strengths)
                for floats in self.in_floats.values():
                    floats.set(strengths)
            for streamed in self.streamed.values():
                streamed.set(strengths)
        if self.branches is not None:
            self.branches.set(strengths)
        return True

    def dense(self, name: str) -> Tensor:
        """The weight that a parameter acts as now, float32."""
        weight = self.slots[name].values_on(self.slots[name].device)
        if self.choices[name].placed in ("streaming", "on-the-fly") and self._strengths is not None:
            return self.changes[name].applied(weight, self._strengths)
        return weight

    @property
    def touched(self) -> tuple[str, ...]:
        """The parameters that adapters change."""
        return tuple(sorted(self.choices))

    def restore(self) -> None:
        """Takes everything off: the model is what it was, bit for bit."""
        with self.statistics.stage("restoring"), self.editing():
            for merged in self.merged.values():
                merged.put_back()
            for floats in self.in_floats.values():
                floats.put_back()
            for layer in self.streamed.values():
                layer.remove()
            if self.branches is not None:
                self.branches.remove()
        self.merged, self.in_floats, self.streamed, self.branches = {}, {}, {}, None
        for module in self.modules:
            _IN_USE.discard(module)

    def __enter__(self) -> AppliedLoras:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def describe(self) -> str:
        """What was chosen and why, a line each."""
        lines = [f"LoRA {lora.path.name}: {shown_spec(lora.spec)}" for lora in self.loras]
        lines += [f"LoRA {file.path.name}: {note}" for file in self.files for note in file.notes]
        for choice, count in Counter(self.choices.values()).most_common():
            lines.append(f"LoRA: {count} parameters {choice.placed} ({choice.reason})")
        if errors := list(self.errors().values()):
            worst = max(errors, key=lambda error: error.rel_rms)
            lines.append(f"LoRA: {len(errors)} weights quantised again, the worst at {worst}")
        if self.branches is not None:
            lines.append(f"LoRA: low-rank factors take {self.branches.nbytes / 1e6:.1f} MB")
        return "\n".join(lines)

    def errors(self) -> dict[str, QuantisationError]:
        """What quantising merged weights again has cost, by parameter."""
        sums = {name: merged.error for name, merged in self.merged.items() if merged.error is not None}
        counts = [torch.Size(self.changes[name].shape).numel() for name in sums]
        read = QuantisationError.read(list(zip(sums.values(), counts, strict=True)))
        return dict(zip(sums, read, strict=True))

    def report(self) -> str:
        """What adapters have cost so far, a line each."""
        lines = self.statistics.lines()
        branches = self.branches.branches if self.branches is not None else {}
        idle = [name for name, branch in branches.items() if not branch.ran]
        if idle and len(idle) < len(branches):
            lines.append(f"LoRA: {len(idle)} branches were never used, among them {idle[0]}")
        return "\n".join(lines)


def shown_spec(spec: LoraSpec) -> str:
    steps = "" if spec.constant else " by step"
    strengths = spec.strength[:1] if spec.constant else spec.strength
    text = f"strength {', '.join(f'{s:g}' for s in strengths)}{steps}"
    if spec.expert:
        text += f", {spec.expert} expert"
    if spec.blocks:
        text += f", blocks {', '.join(map(str, sorted(spec.blocks)))}"
    if spec.layers:
        text += f", only {', '.join(spec.layers)}"
    if spec.drop:
        text += f", without {', '.join(spec.drop)}"
    return text
