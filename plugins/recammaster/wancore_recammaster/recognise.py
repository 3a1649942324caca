"""Whose file it is, without torch."""

from __future__ import annotations

from wancore.checkpoints.base_keys import has_base
from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.claim import Claim
from wancore.checkpoints.view import FileView

CAMERA = "blocks.0.cam_encoder.weight"


def recognise(file: FileView) -> Claim | None:
    """The whole model as released, or its two linears per block alone."""
    view = to_canonical(file)
    if CAMERA not in view:
        return None
    if has_base(view):
        return Claim("merged", "recammaster")
    return Claim("module", "recammaster", needs=("the Wan 2.1 text-to-video model it was trained on",))
