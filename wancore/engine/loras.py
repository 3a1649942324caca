"""A request's adapters, and the loaded transformers that they go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from wancore.checkpoints.canonical import open_transformer
from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.layer_formats import found_formats
from wancore.checkpoints.ownership import BASE
from wancore.checkpoints.view import FileView
from wancore.engine.models import Models
from wancore.engine.modules import ExpertFiles, split
from wancore.engine.plan import Plan
from wancore.errors import InvalidInput
from wancore.lora.applied import Lora
from wancore.lora.originals import Originals, Place
from wancore.lora.request import check_keys, expert_name
from wancore.lora.runtime import DEFAULTS, LoraOptions, Target


@dataclass(frozen=True)
class LoraUse:
    """Adapters with their files, and how they are applied.

    `masters`: the float checkpoints that the model's quantised weights were made from, one for each expert in
    the order of use, or none; `place`: where what merged weights start from is kept.
    """

    loras: tuple[Lora, ...] = ()
    options: LoraOptions = DEFAULTS
    masters: tuple[Path, ...] = ()
    place: Place = "file"


NO_LORAS = LoraUse()


def lora_targets(plan: Plan, models: Models, use: LoraUse) -> dict[str, Target]:
    """Each expert with the families' modules beside it, by name."""
    spellings = KeyMap.of(renames(plan))
    targets = {}
    for i, (name, files) in enumerate(plan.experts.items()):
        weights = models.expert(files, plan.families, plan.base)
        key = files.transformer
        if key not in models.originals:
            master = master_view(use.masters[i], plan) if use.masters else own_master(files, plan, models)
            models.originals[key] = Originals(use.place, master, source_of(files, plan, models))
        house = weights.house
        targets[name] = Target(
            weights.model,
            tuple(weights.adapters.values()),
            originals=models.originals[key],
            spellings=spellings,
            swapped=house.prefixes if house is not None else (),
            editing=house.editing if house is not None else nullcontext,
            device=models.device,
        )
    return targets


def renames(plan: Plan) -> Mapping[str, str]:
    return {theirs: ours for family in plan.families for theirs, ours in family.renames.items()}


def source_of(files: ExpertFiles, plan: Plan, models: Models) -> FileView | None:
    """Where weights that adapters were merged into on a GPU are read again."""
    return split(files, plan.families)[BASE] if models.device.type == "cuda" else None


def own_master(files: ExpertFiles, plan: Plan, models: Models) -> FileView | None:
    """The model's own file, where it is in floats and was quantised at load."""
    if not models.fp8:
        return None
    view = split(files, plan.families)[BASE]
    return None if found_formats(view) else view


def master_view(path: Path, plan: Plan) -> FileView:
    return open_transformer(path, KeyMap.of(renames(plan)))


def check_loras(use: LoraUse, plan: Plan) -> None:
    """What headers tell of a request's adapters. Raises `InvalidInput` or `CheckpointError`.

    Modules of families have parameters that only they can name: with one, files are read when it is there.
    """
    check_masters(use.masters, plan)
    if any(family.keys for family in plan.families):
        return
    for name, files in plan.experts.items():
        view = split(files, plan.families)[BASE]
        check_keys(use.loras, view, KeyMap.of(renames(plan)), expert_name(name))


def check_masters(masters: Sequence[Path], plan: Plan) -> None:
    """Raises `InvalidInput` where there are not as many as experts, `CheckpointError` for a wrong one."""
    if masters and len(masters) != len(plan.experts):
        wanted = "one for each of the model's experts, in the order of use: high noise, low noise"
        accepted = wanted if len(plan.experts) > 1 else "one: this model is a single transformer"
        raise InvalidInput("lora_master", [path.name for path in masters], accepted)
    for path in masters:
        Originals(master=master_view(path, plan))
