"""Patterns over tensor names, by whole segments.

`N` is one number, `*` any one segment, `**` any number of segments, `{a,b}` one of several texts:
`blocks.N.self_attn.{q,k,v,o}.*`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache

WILDCARDS = {"N": r"(\d+)", "*": r"([^.]+)", "**": r"(.+)"}
BRACES = re.compile(r"\{([^{}]*)\}")


def expanded(pattern: str) -> list[str]:
    """`pattern` without braces: one pattern per choice, in order."""
    match = BRACES.search(pattern)
    if match is None:
        return [pattern]
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [rest for choice in match[1].split(",") for rest in expanded(before + choice + after)]


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern without braces as a regular expression; every wildcard is a group."""
    return re.compile(r"\.".join(WILDCARDS.get(part, re.escape(part)) for part in pattern.split(".")))


def filled(pattern: str, values: Iterable[str]) -> str:
    """`pattern` with its wildcards replaced, in order."""
    rest: Iterator[str] = iter(values)
    return ".".join(next(rest) if part in WILDCARDS else part for part in pattern.split("."))


def matches(pattern: str, name: str) -> bool:
    """Whether the whole of `name` fits `pattern`."""
    return any(compiled(choice).fullmatch(name) for choice in expanded(pattern))


@cache
def pattern_set(patterns: tuple[str, ...]) -> PatternSet:
    """`PatternSet`, made once for the same patterns."""
    return PatternSet(patterns)


class PatternSet:
    """Many patterns, asked at once."""

    def __init__(self, patterns: Iterable[str]) -> None:
        choices = [choice for pattern in patterns for choice in expanded(pattern)]
        self._exact = {c for c in choices if not WILDCARDS.keys() & set(c.split("."))}
        others = [compiled(c).pattern for c in choices if c not in self._exact]
        self._others = re.compile("|".join(f"(?:{other})" for other in others)) if others else None

    @property
    def literal(self) -> bool:
        """Whether no wildcard occurs."""
        return self._others is None

    def __contains__(self, name: str) -> bool:
        return name in self._exact or (self._others is not None and bool(self._others.fullmatch(name)))

    def in_any(self, names: Collection[str]) -> bool:
        """Whether one of `names` fits."""
        if any(name in names for name in self._exact):
            return True
        return self._others is not None and any(self._others.fullmatch(name) for name in names)
