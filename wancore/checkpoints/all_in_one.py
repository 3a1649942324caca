"""Files that hold a transformer and the models around it, as ComfyUI saves whole checkpoints."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from wancore.checkpoints.components import ComponentClaim, component_claims
from wancore.checkpoints.container import PICKLE_SUFFIXES
from wancore.checkpoints.open import open_view
from wancore.checkpoints.parts import Part
from wancore.checkpoints.prefix import OTHER_MODELS
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError

INNER_PARTS: tuple[Part, ...] = ("vae", "text_encoder", "image_encoder")


def parts_inside(file: Path) -> dict[Part, Path]:
    """The parts beside the transformer that `file` itself holds; {} for any other file."""
    if file.suffix in PICKLE_SUFFIXES:
        return {}
    try:
        view = open_view(file)
    except CheckpointError:
        return {}  # the file's own problem is reported when it is loaded
    roles = {claim.role for prefix in OTHER_MODELS for claim in claims_below(view.under(prefix))}
    return {part: file for part in INNER_PARTS if part in roles}


def claims_below(view: FileView) -> list[ComponentClaim]:
    """The components in `view`, however many prefixes most of its names share."""
    while len(view):
        if claims := component_claims(view):
            return claims
        first, count = Counter(name.partition(".")[0] for name in view.entries).most_common(1)[0]
        if count * 2 <= len(view) or not any("." in name for name in view.entries):
            return []
        view = view.under(first + ".")
    return []
