"""Whose model a file is: MAGREF's has the keys of Wan's image-to-video model, so only its name tells."""

from __future__ import annotations

from wancore.checkpoints.base_keys import base_spec, extra_keys, has_base
from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.claim import Claim, hinted
from wancore.checkpoints.view import FileView

CHANNELS = 36  # 16 noise, 4 mask, 16 image latent


def recognise(file: FileView) -> Claim | None:
    view = to_canonical(file)
    if not has_base(view):
        return None
    spec = base_spec(view)
    if spec.in_dim != CHANNELS or spec.image_dim is None or spec.image_positions is not None:
        return None
    if extra_keys(view):
        return None
    named = hinted(file.path, "magref")
    return Claim("base", "magref", alternatives=("wan",), decided_by="hint" if named else "keys")
