"""Whose file it is, without torch.

Single-speaker, multi-speaker and both families' files have the same keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from wancore.checkpoints.base_keys import base_patterns, has_base
from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.claim import Claim, hinted
from wancore.checkpoints.fingerprint import all_fit
from wancore.checkpoints.view import FileView
from wancore_talking.keys import ALIAS, KEYS, NAME

MERGED_ALIKE = "skyreels"  # V3 A2V: a whole model with these keys


def recognise(file: FileView, family: str, words: Sequence[str], others: Sequence[str]) -> Claim | None:
    """A claim of `family` on an adapter, alone or merged with its base.

    `words`: in the file's name they decide for it. `others`: families whose files have the same keys.
    """
    view = to_canonical(file)
    if "blocks.0.audio_cross_attn.kv_linear.weight" not in view or not projection_name(view):
        return None
    whole = has_base(view)
    if not all_fit((*KEYS, *(base_patterns() if whole else ())), view.names):
        return None
    return Claim(
        "merged" if whole else "module",
        family,
        needs=() if whole else ("a Wan 2.1 image-to-video model",),
        alternatives=(*others, MERGED_ALIKE) if whole else tuple(others),
        decided_by="hint" if hinted(file.path, *words) else "keys",
    )


def projection_name(view: FileView) -> str:
    """What the file calls the audio projection; '' if it has none of this family."""
    return next((name for name in (NAME, ALIAS) if f"{name}.proj1_vf.weight" in view), "")
