"""Long lists of names, cut to what a message can hold."""

from __future__ import annotations

from collections.abc import Sequence

from wancore.errors import shown

LIMIT = 3


def few(names: Sequence[str]) -> str:
    """The first of many names."""
    return ", ".join(shown(name)[1:-1] for name in names[:LIMIT]) + (", …" if len(names) > LIMIT else "")


def counted(what: str, names: Sequence[str]) -> str:
    """`3 keys missing (a, b, c)`; '' without names."""
    return f"{len(names)} key{'s' * (len(names) > 1)} {what} ({few(names)})" if names else ""
