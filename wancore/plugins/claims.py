"""How a family claims files that `FamilyBase.recognise` cannot tell."""

from __future__ import annotations

from collections.abc import Callable

from wancore.checkpoints.base_keys import BaseSpec, base_spec, extra_keys, has_base
from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.claim import Claim, hinted
from wancore.checkpoints.view import FileView


def claim_by_name(
    file: FileView, family: str, fits: Callable[[BaseSpec], bool], alternatives: tuple[str, ...]
) -> Claim | None:
    """A claim on a whole model that was trained on, and so has the keys of `alternatives`.

    `fits`: whether it has the sizes of the family's models. With the family's id in its name it is the
    family's, else `alternatives` come first, and a request says `--family`. Raises `CheckpointError` for a
    transformer with impossible shapes.
    """
    view = to_canonical(file)
    if not has_base(view) or extra_keys(view) or not fits(base_spec(view)):
        return None
    named = hinted(file.path, family)
    return Claim("base", family, alternatives=alternatives, decided_by="hint" if named else "keys")
