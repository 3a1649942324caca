"""Telling a base Wan transformer from its keys and shapes."""

from __future__ import annotations

from wancore.checkpoints.base_keys import base_spec, extra_keys, has_base
from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.claim import Claim
from wancore.checkpoints.view import FileView
from wancore_wan.variants import variant_of


def recognise(file: FileView) -> Claim | None:
    """A claim on a file that holds a base transformer and nothing else.

    High and low expert, Wan 2.1 and a Wan 2.2 expert, 480p and 720p have the same keys: what the
    file is used for decides.
    """
    view = to_canonical(file)
    if not has_base(view) or extra_keys(view):
        return None
    variant = variant_of(base_spec(view), view)
    if variant is None:
        return None
    return Claim("base", "wan", variant, general=True)
