"""Whose tensor is whose: every name in a file has exactly one owner, the base or one adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wancore.checkpoints.base_keys import base_patterns
from wancore.checkpoints.listing import counted, few
from wancore.checkpoints.pattern import PatternSet
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError

BASE = "base"


@dataclass(frozen=True)
class Owner:
    """`name` owns what fits `patterns` (see pattern.py); `ignored` names are its own, but not needed."""

    name: str
    patterns: tuple[str, ...]
    ignored: tuple[str, ...] = ()


def base_owner() -> Owner:
    """The base transformer."""
    return Owner(BASE, base_patterns())


def owned(view: FileView, owners: Sequence[Owner]) -> dict[str, FileView]:
    """Owner -> its tensors of `view`, under the names they have there, without the ignored ones.

    Raises `CheckpointError` on names that no owner or more than one claims.
    """
    sets = [(o.name, PatternSet((*o.patterns, *o.ignored)), PatternSet(o.ignored)) for o in owners]
    kept: dict[str, dict[str, str]] = {owner.name: {} for owner in owners}
    nobody: list[str] = []
    several: dict[str, list[str]] = {}
    for name in view.entries:
        claims = [(owner, ignored) for owner, patterns, ignored in sets if name in patterns]
        if not claims:
            nobody.append(name)
        elif len(claims) > 1:
            several[name] = [owner for owner, _ in claims]
        elif name not in claims[0][1]:
            kept[claims[0][0]][name] = name
    if nobody or several:
        raise CheckpointError(view.path, ownership_problem(nobody, several, owners))
    return {owner: view.renamed(names) for owner, names in kept.items()}


def ownership_problem(nobody: list[str], several: dict[str, list[str]], owners: Sequence[Owner]) -> str:
    problems = []
    if nobody:
        asked = few([owner.name for owner in owners])
        problems.append(f"{counted('belonging to nothing', nobody)}; asked: {asked}")
    if several:
        claimants = " and ".join(next(iter(several.values())))
        problems.append(f"{counted(f'claimed by {claimants}', list(several))}")
    return "; ".join(problems)
