"""The names of a file's tensors as a set. Thousands of files have the same names; what follows from names
alone is worked out once for each set of them (`remembered`)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

Names = frozenset[str]
MANY = 2048  # sets that are kept apart before all are forgotten

#: For functions of `Names` (and of other values that can be hashed); what they return is shared.
remembered = lru_cache(maxsize=MANY)

_sets: dict[Names, Names] = {}


def name_set(names: Iterable[str]) -> Names:
    """The one object for this set of names, so that comparing sets is comparing addresses."""
    found = frozenset(names)
    if len(_sets) >= MANY:
        _sets.clear()
    return _sets.setdefault(found, found)
