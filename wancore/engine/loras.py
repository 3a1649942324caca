"""A request's adapters, and the loaded transformers that they go on."""

from __future__ import annotations

from dataclasses import dataclass

from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.ownership import BASE
from wancore.engine.models import Models
from wancore.engine.modules import split
from wancore.engine.plan import Plan
from wancore.lora.applied import Lora
from wancore.lora.runtime import DEFAULTS, LoraOptions, Target


@dataclass(frozen=True)
class LoraUse:
    """Adapters with their files, and how they are applied."""

    loras: tuple[Lora, ...] = ()
    options: LoraOptions = DEFAULTS


NO_LORAS = LoraUse()


def lora_targets(plan: Plan, models: Models) -> dict[str, Target]:
    """Each expert with the families' modules beside it, by name.

    On a GPU, weights that adapters are merged into are restored from the expert's files.
    """
    renames = {theirs: ours for family in plan.families for theirs, ours in family.renames.items()}
    targets = {}
    for name, files in plan.experts.items():
        weights = models.expert(files, plan.families, plan.base)
        source = split(files, plan.families)[BASE] if models.device.type == "cuda" else None
        spellings = KeyMap.of(renames)
        targets[name] = Target(
            weights.model, tuple(weights.adapters.values()), source=source, spellings=spellings
        )
    return targets
