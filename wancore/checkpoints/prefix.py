"""Prefixes that tools put before every name of a model, found by majority and taken off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wancore.checkpoints.names import Names, remembered
from wancore.checkpoints.view import FileView

#: What transformer files have been seen with. The longest that fits is taken off first.
TRANSFORMER_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "model.", "module.", "_orig_mod.")
#: Other models in an all-in-one file, beside a transformer under the first prefix above.
ALL_IN_ONE, OTHER_MODELS = TRANSFORMER_PREFIXES[0], ("vae.", "text_encoders.", "clip_vision.")
COMPILED = "_orig_mod"  # a segment that torch.compile adds wherever a module was compiled


@dataclass(frozen=True)
class Peeled:
    """`view` without `prefix`, which stood before most of its names ('' if nothing did)."""

    view: FileView
    prefix: str


def peel_prefix(view: FileView, prefixes: Sequence[str] = TRANSFORMER_PREFIXES) -> Peeled:
    """Takes off the prefixes that more than half of the names share; the other names stay as they are.

    Nested prefixes come off one by one, and `_orig_mod` segments wherever they stand. In an all-in-one
    file the tensors of the other models are left out. Raises `CheckpointError` if two names become one.
    """
    if any(name.startswith(ALL_IN_ONE) for name in view.entries) and ALL_IN_ONE in prefixes:
        view = view.renamed({n: n for n in view.entries if not n.startswith(OTHER_MODELS)})
    prefix, changed = peeled(view.names, tuple(prefixes))
    return Peeled(
        view.renamed({old: changed.get(old, old) for old in view.entries}) if changed else view, prefix
    )


@remembered
def peeled(names: Names, prefixes: tuple[str, ...]) -> tuple[str, Mapping[str, str]]:
    """What all come off, and the new names of those that change."""
    renamed = {name: name for name in names}
    off = ""
    while prefix := common_prefix(renamed.values(), prefixes):
        renamed = {old: new.removeprefix(prefix) for old, new in renamed.items()}
        off += prefix
    new_names = ((old, without_compiled(new)) for old, new in renamed.items())
    return off, {old: new for old, new in new_names if old != new}


def common_prefix(names: Iterable[str], prefixes: Sequence[str]) -> str:
    """The longest of `prefixes` that more than half of `names` begin with; '' if none does."""
    names = list(names)
    for prefix in sorted(prefixes, key=len, reverse=True):
        if sum(name.startswith(prefix) for name in names) * 2 > len(names):
            return prefix
    return ""


def without_compiled(name: str) -> str:
    if COMPILED not in name:
        return name
    return ".".join(part for part in name.split(".") if part != COMPILED)
