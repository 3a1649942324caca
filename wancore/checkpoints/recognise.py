"""Asking every family whose file this is, and settling on one answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from wancore.checkpoints.claim import Claim
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError, PluginError


class Recogniser(Protocol):
    """The part of a family that looks at files."""

    def recognise(self, file: FileView) -> Claim | None:
        """A claim on `file` (see `recognition_view`), or None. Never reads data.

        Imports no torch: that takes longer than listing thousands of files.
        """


def recognition_view(view: FileView) -> FileView:
    """What families are shown: without prefix, otherwise under the file's own names.

    Names are not made canonical, since what they belong to is the question (`to_canonical` does it for a
    family that has found its base).
    """
    return peel_prefix(view).view


def recognise(view: FileView, families: Iterable[Recogniser]) -> list[Claim]:
    """The claims of all `families` on `view`, best reason first.

    Raises `PluginError` naming a family whose recognition fails.
    """
    return claims_on(recognition_view(view), families)


def claims_on(shown: FileView, families: Iterable[Recogniser]) -> list[Claim]:
    """As `recognise`, for what `recognition_view` gave."""
    claims = []
    for family in families:
        try:
            claim = family.recognise(shown)
        except CheckpointError:
            raise
        except Exception as error:
            name = getattr(family, "id", type(family).__name__)
            raise PluginError(f"{name} failed to look at {shown.path}: {error!r}") from error
        if claim is not None:
            claims.append(claim)
    return sorted(claims, key=rank)


def rank(claim: Claim) -> tuple[int, str]:
    """Sorts the better reason first; the name makes it independent of the order of plugins."""
    return standing(claim), claim.family


def standing(claim: Claim) -> int:
    """How good the reason is, 0 the best: keys that are nobody else's, a hint or a config, the plain
    model's keys, keys that several families share."""
    if claim.certain:
        return 2 if claim.general else 0
    return 3 if claim.general or claim.decided_by == "keys" else 1


def decide(claims: Sequence[Claim], path: Path, family: str | None = None) -> Claim:
    """The one claim to follow: the user's `family`, else what the file leaves no doubt about, else a hint.

    Raises `CheckpointError` when nobody claims the file, when the user's choice does not fit it, or when
    keys alone would have to decide between families that share them.
    """
    if family is not None:
        return chosen(claims, path, family)
    ordered = sorted(claims, key=rank)
    if not ordered:
        raise CheckpointError(path, "belongs to no installed family")
    best = ordered[0]
    rivals = [c.family for c in ordered[1:] if standing(c) == standing(best) and c.family != best.family]
    undecided = rivals or (best.alternatives if best.decided_by == "keys" else ())
    if undecided:
        families = ", ".join(dict.fromkeys((best.family, *undecided)))
        problem = f"does not tell its family: its keys fit {families}; say which with --family"
        raise CheckpointError(path, problem)
    return best


def chosen(claims: Sequence[Claim], path: Path, family: str) -> Claim:
    for claim in claims:
        if claim.family == family:
            return claim
    fits = ", ".join(dict.fromkeys(c.family for c in claims)) or "no installed family"
    raise CheckpointError(path, f"is not a file of {family}; its keys fit {fits}")
