"""Whose file it is, without torch."""

from __future__ import annotations

from wancore.checkpoints.base_keys import base_spec, has_base
from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.claim import Claim
from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.view import FileView
from wancore_vace.keys import RENAMES

NAMES = KeyMap.of(RENAMES)
PATCH = "vace_patch_embedding.weight"
SIZES = {1536: "1.3b", 5120: "14b"}


def recognise(file: FileView) -> Claim | None:
    """VACE's blocks, with the text-to-video model they belong to or alone."""
    view = to_canonical(file, NAMES)
    if "vace_blocks.0.after_proj.weight" not in view or PATCH not in view:
        return None
    variant = SIZES.get(view.shape(PATCH)[0], "")
    if not has_base(view):
        return Claim("module", "vace", variant, needs=("its text-to-video base model",))
    return Claim("merged", "vace", variant if base_spec(view).in_dim == 16 else "")
