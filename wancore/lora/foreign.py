"""Low-rank files that are no LoRAs: modules of a family, which look like one. Needs no torch."""

from __future__ import annotations

from wancore.checkpoints.known import KnownFamily, known_families
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError


def refuse_foreign(view: FileView) -> None:
    """Raises `CheckpointError` for a family's own low-rank file, which is no change of a model's weights."""
    family = foreign_family(view)
    if family is not None:
        install = f" (install {family.distribution})" if family.distribution else ""
        problem = f"belongs to the family {family.family}{install} and is no LoRA"
        raise CheckpointError(view.path, f"{problem}; attach that family with this file")


def foreign_family(view: FileView) -> KnownFamily | None:
    """The family whose own low-rank file this is, if it is one."""
    fits = known_families(peel_prefix(view).view).fits
    return next((family for family in fits if family.kind == "low-rank"), None)
