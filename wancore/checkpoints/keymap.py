"""Other names for a model's tensors, as data: whole segments are replaced, and every rule can be undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from wancore.checkpoints.names import Names, remembered
from wancore.checkpoints.pattern import PatternSet, compiled, expanded, filled
from wancore.checkpoints.view import FileView


class Rule(NamedTuple):
    """`theirs` is what a file calls it, `ours` the canonical name; both have the same wildcards."""

    theirs: str
    ours: str


@dataclass(frozen=True)
class KeyMap:
    """Rules between one naming and the canonical one; the first that fits a name is used.

    `unused`: patterns of names that files of this naming hold and nothing needs.
    """

    rules: tuple[Rule, ...]
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, rules: Mapping[str, str], unused: Iterable[str] = ()) -> KeyMap:
        """From patterns with braces: the choices on both sides belong together, in order."""
        pairs = [
            Rule(theirs, ours)
            for many_theirs, many_ours in rules.items()
            for theirs, ours in zip(expanded(many_theirs), expanded(many_ours), strict=True)
        ]
        return cls(tuple(pairs), tuple(unused))

    def __add__(self, more: KeyMap) -> KeyMap:
        """This map, after the rules of `more`."""
        return KeyMap(more.rules + self.rules, more.unused + self.unused)

    def inverse(self) -> KeyMap:
        """From canonical names back to the other ones."""
        return KeyMap(tuple(Rule(rule.ours, rule.theirs) for rule in self.rules))

    def rename(self, name: str) -> str:
        """The canonical name of `name`; itself where no rule is about it."""
        for rule in self.rules:
            if match := compiled(rule.theirs).fullmatch(name):
                return filled(rule.ours, match.groups())
        return name

    def apply(self, view: FileView) -> FileView:
        """`view` under canonical names, without the unused ones.

        Raises `CheckpointError` if two tensors would get one name.
        """
        new = new_names(self, view.names)
        return view.renamed({name: new[name] for name in view.entries if name in new})

    @cached_property
    def _unused(self) -> PatternSet:
        return PatternSet(self.unused)


@remembered
def new_names(rules: KeyMap, names: Names) -> Mapping[str, str]:
    """Of every name that is needed."""
    return {name: rules.rename(name) for name in names if name not in rules._unused}
