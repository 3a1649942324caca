"""A request's adapters: on every expert of its model, step by step, and off again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from torch import Tensor

from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.open import open_view
from wancore.checkpoints.view import FileView
from wancore.errors import WancoreError
from wancore.lora.applied import AppliedLoras, Lora
from wancore.lora.find import find_lora
from wancore.lora.foreign import refuse_foreign
from wancore.lora.held import Shelf
from wancore.lora.names import NameTable
from wancore.lora.read import fitting
from wancore.lora.runtime import DEFAULTS, Expert, LoraOptions, Target, apply_loras, concerns
from wancore.lora.spec import LoraSpec
from wancore.sampling.hooks import NoHooks, Step
from wancore.sampling.solver import Draw


def located(specs: Iterable[LoraSpec], models: Path | None, shelf: Shelf | None = None) -> tuple[Lora, ...]:
    """Each adapter with its file, found below the folder `models`, from headers alone.

    `shelf`: files that are in memory already. Raises `InvalidInput` where there is none, `CheckpointError`
    where it is no adapter file.
    """
    loras = []
    for spec in specs:
        path = find_lora(models, spec.name)
        held = shelf.get(path) if shelf is not None else None
        if held is None:
            refuse_foreign(open_view(path))
        loras.append(Lora(spec, path, held))
    return tuple(loras)


def check_keys(loras: Iterable[Lora], view: FileView, spellings: KeyMap, expert: Expert) -> None:
    """Whether adapters fit a model, from the names in their files and in the model's (canonical ones).

    Raises as `apply_loras` does for names alone.
    """
    table = NameTable({name: info.shape for name, info in view.entries.items()}, spellings)
    for lora in loras:
        if concerns(lora.spec, expert) and any(lora.spec.strength):
            file = lora.held.view if lora.held is not None else open_view(lora.path)
            fitting(file, table, lora.spec.partial)


class RequestLoras:
    """Adapters on the experts of one model, by the experts' names ("" for an only one).

    Raises as `apply_loras` does; nothing is changed then.
    """

    def __init__(
        self,
        experts: Mapping[str, Target],
        loras: Sequence[Lora],
        options: LoraOptions = DEFAULTS,
    ) -> None:
        self.applied: dict[str, AppliedLoras] = {}
        try:
            for name, target in experts.items() if loras else ():
                self.applied[name] = apply_loras(target, loras, options, expert=expert_name(name))
        except BaseException:
            self.restore()
            raise

    def set_step(self, step: int) -> bool:
        """As `AppliedLoras.set_step`, on every expert."""
        changed = [applied.set_step(step) for applied in self.applied.values()]
        return any(changed)

    def hooks(self, changed: Callable[[], None]) -> StepStrengths:
        """For the denoising loop; `changed` drops what was computed with other strengths."""
        return StepStrengths(self, changed)

    @property
    def scheduled(self) -> bool:
        """Whether any strength differs from step to step."""
        return any(not lora.spec.constant for applied in self.applied.values() for lora in applied.loras)

    def window_done(self) -> None:
        for applied in self.applied.values():
            applied.statistics.window_done()

    def describe(self) -> str:
        """What was chosen and why, a line each, by expert."""
        return self._lines({name: applied.describe() for name, applied in self.applied.items()})

    def report(self) -> str:
        """What adapters have cost so far, a line each, by expert."""
        return self._lines({name: applied.report() for name, applied in self.applied.items()})

    @staticmethod
    def _lines(texts: Mapping[str, str]) -> str:
        return "\n".join(
            f"{name} expert: {line}" if name else line
            for name, text in texts.items()
            for line in text.splitlines()
        )

    def restore(self) -> None:
        """Takes everything off, the last first."""
        for applied in reversed(list(self.applied.values())):
            applied.restore()
        self.applied = {}

    def __enter__(self) -> RequestLoras:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()


class StepStrengths(NoHooks):
    """Sets the strengths of each step before the model is called."""

    def __init__(self, loras: RequestLoras, changed: Callable[[], None]) -> None:
        self._loras, self._changed = loras, changed

    def model_input(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        if self._loras.set_step(step.index):
            self._changed()
        return x


def expert_name(name: str) -> Expert:
    """The experts of a model as adapters know them."""
    match name:
        case "" | "high" | "low":
            return name
    raise WancoreError(f"adapters know the experts high and low; this model has one called {name!r}")
