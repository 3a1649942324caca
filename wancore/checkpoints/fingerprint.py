"""Files recognised by a few of their keys, as data: the core's components, and families by name only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from wancore.checkpoints.base_keys import extra_keys, has_base
from wancore.checkpoints.claim import hinted
from wancore.checkpoints.jsonfile import read_json
from wancore.checkpoints.names import Names, remembered
from wancore.checkpoints.pattern import pattern_set
from wancore.checkpoints.view import FileView


@dataclass(frozen=True)
class Fingerprint:
    """What a kind of file is told by. Every condition that is given must hold.

    `all`, `any`, `none`: patterns that must all, at least one, or not occur. `shapes`: sizes of the first
    axes (None: any). `plain`: the file is a base transformer and nothing else. `hints`: words of which
    the file's name must have one; it then stands for a family that has the keys of another.
    """

    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int | None, ...]] | None = None
    plain: bool = False
    hints: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Fingerprint:
        return cls(
            all=tuple(data.get("all", ())),
            any=tuple(data.get("any", ())),
            none=tuple(data.get("none", ())),
            shapes={name: tuple(sizes) for name, sizes in data.get("shapes", {}).items()},
            plain=data.get("plain", False),
            hints=tuple(data.get("hints", ())),
        )

    def keys_fit(self, view: FileView) -> bool:
        """Whether the names and shapes of `view` (without prefix) are as described."""
        return (
            all(occurs((pattern,), view) for pattern in self.all)
            and (not self.any or occurs(self.any, view))
            and not occurs(self.none, view)
            and all(shape_fits(name, sizes, view) for name, sizes in (self.shapes or {}).items())
            and (not self.plain or (has_base(view) and not extra_keys(view)))
        )

    def hint_fits(self, path: Path) -> bool:
        return bool(self.hints) and hinted(path, *self.hints)


def occurs(patterns: tuple[str, ...], view: FileView) -> bool:
    """Whether a name in `view` fits one of `patterns`."""
    return bool(patterns) and any_fits(patterns, view.names)


@lru_cache(maxsize=64 * 1024)
def any_fits(patterns: tuple[str, ...], names: Names) -> bool:
    return pattern_set(patterns).in_any(names)


@remembered
def all_fit(patterns: tuple[str, ...], names: Names) -> bool:
    """Whether every name fits one of `patterns`."""
    known = pattern_set(patterns)
    return all(name in known for name in names)


def shape_fits(name: str, sizes: Sequence[int | None], view: FileView) -> bool:
    if name not in view or len(view.shape(name)) < len(sizes):
        return False
    return all(want in (None, got) for want, got in zip(sizes, view.shape(name), strict=False))


def read_fingerprints(file: Path) -> list[dict[str, Any]]:
    """The entries of a data file of fingerprints."""
    entries: list[dict[str, Any]] = read_json(file)["entries"]
    return entries
