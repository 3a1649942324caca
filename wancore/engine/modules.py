"""Whose tensors are whose: a transformer with the families' modules, in one file or beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wancore.checkpoints.base_keys import has_base
from wancore.checkpoints.canonical import open_transformer
from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.listing import few
from wancore.checkpoints.ownership import BASE, Owner, base_owner, owned
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.plugins.family import Family


@dataclass(frozen=True)
class ExpertFiles:
    """Files of one expert: its transformer, and the modules given beside it, by family id."""

    transformer: Path
    modules: tuple[tuple[str, Path], ...] = ()

    def of(self, family: str) -> Path:
        """The file that holds what a family owns."""
        return dict(self.modules).get(family, self.transformer)


def owner(family: Family) -> Owner:
    return Owner(family.id, family.keys, family.ignored_keys)


def split(files: ExpertFiles, families: Sequence[Family]) -> Mapping[str, FileView]:
    """The tensors of the base (`base`) and of each family that owns any, under canonical names.

    A merged file and a base with modules beside it come out the same. Raises `CheckpointError` for
    a key without an owner or with two, and for a family whose module is nowhere.
    """
    with_keys = [family for family in families if family.keys]
    names = KeyMap.of({theirs: ours for family in with_keys for theirs, ours in family.renames.items()})
    views = dict(owned(open_transformer(files.transformer, names), [base_owner(), *map(owner, with_keys)]))
    if not has_base(views[BASE]):
        raise CheckpointError(files.transformer, "is a module, not a model; give its base model as the model")
    by_id = {family.id: family for family in with_keys}
    for name, path in files.modules:
        if name not in by_id:
            raise CheckpointError(path, f"is given as a module of {name}, which has no weights of its own")
        if len(views[name]):
            raise CheckpointError(
                path, f"is a module of {name}, and {files.transformer.name} holds one already"
            )
        views[name] = owned(open_transformer(path, names), [owner(by_id[name])])[name]
    missing = [family.name for family in with_keys if not len(views[family.id])]
    if missing:
        raise CheckpointError(
            files.transformer, f"has no module of {few(missing)}; give its file as a module"
        )
    return views
