"""Low-rank files that are no LoRAs: modules of a family, which look like one. Needs no torch."""

from __future__ import annotations

from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.known import known_in
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError


def refuse_foreign(view: FileView) -> None:
    """Raises `CheckpointError` for a family's own low-rank file, which is no change of a model's weights."""
    refuse_known(to_canonical(peel_prefix(view).view))


def refuse_known(canonical: FileView) -> None:
    """As `refuse_foreign`, for a view without prefix and with canonical names."""
    for family in known_in(canonical).fits:
        if family.kind == "low-rank":
            install = f" (install {family.distribution})" if family.distribution else ""
            problem = f"belongs to the family {family.family}{install} and is no LoRA"
            raise CheckpointError(canonical.path, f"{problem}; attach that family with this file")
