"""Families that are known by name, whether or not their plugin is installed (fingerprints.json).

It lets `inspect` and errors say whose file something is and what to install; it loads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from wancore.checkpoints.base_keys import has_base
from wancore.checkpoints.canonical import DATA, to_canonical
from wancore.checkpoints.claim import Claim, DecidedBy, Kind
from wancore.checkpoints.fingerprint import Fingerprint, read_fingerprints
from wancore.checkpoints.view import FileView


@dataclass(frozen=True)
class KnownFamily:
    """A family a file may belong to.

    `distribution`: what to install for it; None where no plugin is known. `decided_by`: "keys" where
    they fit no other family, "hint" where the file's name chose between several with these keys.
    """

    family: str
    distribution: str | None
    variant: str
    kind: Kind
    decided_by: DecidedBy


@dataclass(frozen=True)
class KnownFamilies:
    """`fits`: whose file it is, by its keys or its name; `same_keys`: others it could be by its keys."""

    fits: tuple[KnownFamily, ...]
    same_keys: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One line of the data file. With hints in its fingerprint, other families have the same keys.

    `kind`: of its files, where their keys beside a base model's do not tell. `general`: the family of
    the plain model, which a file belongs to only if no other fits.
    """

    family: str
    distribution: str | None
    variant: str
    kind: Kind | None
    general: bool
    fingerprint: Fingerprint

    def found(self, whole: bool) -> KnownFamily:
        """This family for a file that holds a `whole` base model, or does not."""
        read_off: Kind = "base" if self.fingerprint.plain else "merged" if whole else "module"
        decided_by: DecidedBy = "hint" if self.fingerprint.hints else "keys"
        return KnownFamily(self.family, self.distribution, self.variant, self.kind or read_off, decided_by)


@cache
def entries() -> tuple[Entry, ...]:
    return tuple(
        Entry(
            family=data["family"],
            distribution=data["distribution"],
            variant=data.get("variant", ""),
            kind=data.get("kind"),
            general=data.get("general", False),
            fingerprint=Fingerprint.parse(data),
        )
        for data in read_fingerprints(DATA / "fingerprints.json")
    )


def distribution_of(family: str) -> str | None:
    """What to install for a family; None where no plugin is known."""
    return next((entry.distribution for entry in entries() if entry.family == family), None)


def known_families(view: FileView) -> KnownFamilies:
    """Every known family that `view` (without prefix) fits."""
    return known_in(to_canonical(view))


def known_in(canonical: FileView) -> KnownFamilies:
    """As `known_families`, for a view with canonical names."""
    return known_among(with_these_keys(canonical), canonical)


def with_these_keys(canonical: FileView) -> tuple[Entry, ...]:
    """Who a file with such names and shapes may belong to, whatever it is called."""
    return tuple(entry for entry in entries() if entry.fingerprint.keys_fit(canonical))


def known_among(matching: Sequence[Entry], canonical: FileView) -> KnownFamilies:
    """Whose the file is of those that have its keys, by its name where several do."""
    decided = [e for e in matching if not e.fingerprint.hints or e.fingerprint.hint_fits(canonical.path)]
    special = [entry for entry in decided if not entry.general]
    fits: dict[str, KnownFamily] = {}
    for entry in special or decided:
        fits.setdefault(entry.family, entry.found(has_base(canonical)))
    others = dict.fromkeys(entry.family for entry in matching if entry not in decided)
    return KnownFamilies(tuple(fits.values()), tuple(name for name in others if name not in fits))


def named_otherwise(known: KnownFamilies, claim: Claim) -> KnownFamily | None:
    """The family a file is named after, where its keys alone made it another's.

    That family is then not installed: running the file as `claim` says would be wrong without a word.
    """
    if claim.decided_by != "keys" or claim.family in {fit.family for fit in known.fits}:
        return None
    return next((fit for fit in known.fits if fit.decided_by == "hint"), None)
