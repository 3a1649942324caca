"""Whose model it is: the family that leads its requests, from headers alone and without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.claim import Claim
from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.known import known_families, named_otherwise
from wancore.checkpoints.open import open_view
from wancore.checkpoints.parts import Parts
from wancore.checkpoints.pattern import PatternSet
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.recognise import decide, recognise
from wancore.checkpoints.view import FileView
from wancore.embedded import OWN
from wancore.errors import CheckpointError, InvalidInput
from wancore.plugins import PluginManager
from wancore.plugins.family import Family
from wancore.request import Request

#: Finds a file a user names.
Locate = Callable[[str], Path]


def collect_families(plugins: PluginManager) -> Mapping[str, Family]:
    """Installed families by id; two with one id are both refused."""
    found: dict[str, list[Family]] = {}
    for _, family in plugins.collect("wancore_families"):
        found.setdefault(family.id, []).append(family)
    return {name: families[0] for name, families in found.items() if len(families) == 1}


def leader(request: Request, parts: Parts, families: Mapping[str, Family], locate: Locate) -> Family:
    """Whose model it is, whatever its requests need. Raises `InvalidInput` or `CheckpointError`."""
    claim = lead_claim(request, list(experts_of(parts).values()), families, locate)
    return lead_family(claim, families)


def lead_claim(
    request: Request, transformers: Sequence[Path], families: Mapping[str, Family], locate: Locate
) -> Claim:
    """Whose request it is: the lead's modules decide if there are any, else the transformers."""
    attached = [families[a.name] for a in request.attachments if a.name in families]
    if request.modules:
        paths = [locate(name) for name in request.modules]
    else:
        families = {name: f for name, f in families.items() if f not in attached} or families
        paths = list(transformers)
    claims = [claim_of(path, request.family, families, attached) for path in paths]
    for path, claim in zip(paths, claims, strict=True):
        if (claim.family, claim.variant) != (claims[0].family, claims[0].variant):
            problem = f"is a {claim.variant} model, the other expert a {claims[0].variant} one"
            raise CheckpointError(path, problem)
    if claims[0].kind == "module" and not request.modules:
        problem = f"is a module of {claims[0].family}, not a model; give it as a module beside its base model"
        raise CheckpointError(paths[0], problem)
    return claims[0]


def claim_of(
    path: Path, family: str | None, families: Mapping[str, Family], attached: Sequence[Family]
) -> Claim:
    """The user's `family`, else what the file says beside the keys of `attached` families.

    Raises `CheckpointError` where it says another.
    """
    view = without_keys(open_view(path), attached)
    claims = recognise(view, families.values())
    if path == OWN.folder and family in families and family not in {claim.family for claim in claims}:
        raise InvalidInput("model", None, f"a model of {family}: none comes with wancore")
    claim = decide(claims, path, family)
    other = named_otherwise(known_families(peel_prefix(view).view), claim) if family is None else None
    if other is not None and other.family not in {f.id for f in attached}:
        install = f"install {other.distribution}, or " if other.distribution else ""
        problem = f"has the keys of {claim.family} and the name of {other.family}"
        raise CheckpointError(path, f"{problem}; {install}say --family {claim.family} if that is what it is")
    return claim


def without_keys(view: FileView, families: Sequence[Family]) -> FileView:
    """The tensors that belong to none of `families`; under canonical names where some are left out."""
    owned = PatternSet(pattern for f in families for pattern in (*f.keys, *f.ignored_keys))
    names = KeyMap.of({theirs: ours for f in families for theirs, ours in f.renames.items()})
    canonical = to_canonical(peel_prefix(view).view, names)
    kept = {name: name for name in canonical.entries if name not in owned}
    return view if len(kept) == len(canonical) else canonical.renamed(kept)


def lead_family(claim: Claim, families: Mapping[str, Family]) -> Family:
    family = families[claim.family]
    if "lead" not in family.roles:
        leads = ", ".join(f.id for f in families.values() if "lead" in f.roles)
        accepted = f"a family that can lead a request: {leads}; {family.id} is one to attach"
        raise InvalidInput("family", family.id, accepted)
    return family


def experts_of(parts: Parts) -> dict[str, Path]:
    """The transformers in the order of use: one without a name, or a `high` and a `low` noise expert."""
    first, second = parts.require("transformer"), parts.optional("transformer_2")
    return {"": first} if second is None else {"high": first, "low": second}
