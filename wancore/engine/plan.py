"""Settling a request before anything is loaded: whose model it is, and every value it leaves open."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.canonical import open_transformer, to_canonical
from wancore.checkpoints.claim import Claim
from wancore.checkpoints.defaults import ModelDefaults, model_defaults
from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.known import known_families, named_otherwise
from wancore.checkpoints.open import open_view
from wancore.checkpoints.ownership import BASE
from wancore.checkpoints.parts import Parts
from wancore.checkpoints.pattern import PatternSet
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.recognise import decide, recognise
from wancore.checkpoints.view import FileView
from wancore.engine.compose import check_claims
from wancore.engine.modules import ExpertFiles, split
from wancore.errors import CheckpointError, InvalidInput
from wancore.plugins.family import Base, Family
from wancore.plugins.inputs import InputType, check_own_types
from wancore.request import MAX_SEED, Request
from wancore.vae.architecture import Architecture
from wancore.vae.files import recognise as recognise_vae

#: Finds a file a user names.
Locate = Callable[[str], Path]


@dataclass(frozen=True)
class Plan:
    """A request with its families and its base model, known from headers alone.

    `experts`: the files of each, by the name of the expert, in the order of use.
    """

    request: Request
    parts: Parts
    family: Family
    attachments: tuple[Family, ...]
    base: Base
    experts: Mapping[str, ExpertFiles]
    seed: int

    def with_parameters(self, defaults: Mapping[str, Any]) -> Plan:
        """The same with `defaults` for those of its families' parameters that the request leaves open."""

        def filled(family: Family, params: Mapping[str, Any]) -> dict[str, Any]:
            return {**{k: v for k, v in defaults.items() if k in family.parameters.model_fields}, **params}

        attachments = tuple(
            use.model_copy(update={"params": filled(family, use.params)})
            for family, use in zip(self.attachments, self.request.attachments, strict=True)
        )
        fields = {"params": filled(self.family, self.request.params), "attachments": attachments}
        return replace(self, request=self.request.model_copy(update=fields))

    @property
    def families(self) -> tuple[Family, ...]:
        """The lead, then the attachments."""
        return self.family, *self.attachments


def plan_request(request: Request, parts: Parts, families: Mapping[str, Family], locate: Locate) -> Plan:
    """Raises `InvalidInput`, `CheckpointError` or `Conflict` for what cannot be run."""
    check_attachments(request)
    transformers = experts_of(parts)
    claim = lead_claim(request, list(transformers.values()), families, locate)
    family = lead_family(claim, families)
    check_live(request, family)
    attachments = tuple(attached_family(a.name, families) for a in request.attachments)
    own = (request, *(request.of(use) for use in request.attachments))
    check_claims(list(zip((family, *attachments), own, strict=True)))
    given = [(family.id, request.modules), *((a.name, a.modules) for a in request.attachments)]
    experts = {
        name: ExpertFiles(path, modules_of(given, i, len(transformers), locate))
        for i, (name, path) in enumerate(transformers.items())
    }
    base = base_of(parts, claim.variant)
    request = illustrated(request, family, base.defaults)
    own = (request, *(request.of(use) for use in request.attachments))
    require_encoders(parts, base)
    for files in experts.values():
        views = split(files, (family, *attachments))
        for each, asked in zip((family, *attachments), own, strict=True):
            with told_of(each, family):
                each.check(asked, base, views.get(each.id, views[BASE].renamed({})))
                check_own_types(each.inputs, asked.inputs)
    seed = request.seed if request.seed is not None else secrets.randbelow(MAX_SEED + 1)
    return Plan(request, parts, family, attachments, base, experts, seed)


@contextmanager
def told_of(family: Family, lead: Family) -> Iterator[None]:
    """Refusals say whose inputs and parameters they mean, where that is an attachment's."""
    try:
        yield
    except InvalidInput as error:
        if family is not lead:
            error.attachment = family.id
        raise


def illustrated(request: Request, family: Family, defaults: ModelDefaults) -> Request:
    """With the checkpoint's own pictures, where the request brings none for its lead."""
    roles = [spec for spec in family.inputs if spec.type in (InputType.IMAGE, InputType.VIDEO)]
    if not defaults.pictures or any(spec.matches(role) for role in request.inputs for spec in roles):
        return request
    return request.model_copy(update={"inputs": {**defaults.pictures, **request.inputs}})


def leader(request: Request, parts: Parts, families: Mapping[str, Family], locate: Locate) -> Family:
    """Whose model it is, whatever its requests need. Raises `InvalidInput` or `CheckpointError`."""
    claim = lead_claim(request, list(experts_of(parts).values()), families, locate)
    return lead_family(claim, families)


def check_attachments(request: Request) -> None:
    """Raises `InvalidInput` for a family that is attached twice, or to itself."""
    names = [use.name for use in request.attachments]
    for i, name in enumerate(names):
        if name == request.family or name in names[:i]:
            raise InvalidInput("attachments", name, "each family once, and not the one that leads")


def check_live(request: Request, family: Family) -> None:
    """Raises `InvalidInput` for what cannot arrive while a request of this family runs."""
    able = [spec for spec in family.inputs if spec.live]
    for role in request.live:
        if not any(spec.matches(role) for spec in able):
            accepted = (
                ", ".join(spec.role for spec in able) or f"nothing: {family.id} needs all inputs at once"
            )
            raise InvalidInput("live", role, accepted)
        if role in request.inputs:
            raise InvalidInput(f"inputs.{role}", str(request.inputs[role]), "no file for what arrives live")
    for name in ("attachments", "windows", "previews") if request.live else ():
        if getattr(request, name):
            raise InvalidInput(name, getattr(request, name), "nothing in a request that is live")


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


def modules_of(
    given: Sequence[tuple[str, Sequence[str]]], expert: int, experts: int, locate: Locate
) -> tuple[tuple[str, Path], ...]:
    """The modules of one expert: a family's only one, or its own."""
    found = []
    for family, names in given:
        if len(names) > experts:
            raise InvalidInput(
                "modules", list(names), f"one module of {family}: the model has one transformer"
            )
        if names:
            found.append((family, locate(names[expert if len(names) > 1 else 0])))
    return tuple(found)


def claim_of(
    path: Path, family: str | None, families: Mapping[str, Family], attached: Sequence[Family]
) -> Claim:
    """The user's `family`, else what the file says beside the keys of `attached` families.

    Raises `CheckpointError` where it says another.
    """
    view = without_keys(open_view(path), attached)
    claim = decide(recognise(view, families.values()), path, family)
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


def attached_family(name: str, families: Mapping[str, Family]) -> Family:
    able = [f.id for f in families.values() if "attachment" in f.roles]
    if name not in able:
        raise InvalidInput("attachments", name, f"one of those installed: {', '.join(able) or 'none'}")
    return families[name]


def experts_of(parts: Parts) -> dict[str, Path]:
    """The transformers in the order of use: one without a name, or a `high` and a `low` noise expert."""
    first, second = parts.require("transformer"), parts.optional("transformer_2")
    return {"": first} if second is None else {"high": first, "low": second}


def require_encoders(parts: Parts, base: Base) -> None:
    """Raises `CheckpointError` where the model reads text or images and their encoder is not there."""
    if base.transformer.text_dim:
        parts.require("text_encoder")
    if base.transformer.image_dim is not None:
        parts.require("image_encoder")


def base_of(parts: Parts, variant: str) -> Base:
    """The base model's sizes, from the headers of its transformers and its VAE."""
    experts = experts_of(parts)
    views = [open_transformer(path) for path in experts.values()]
    sizes = [transformer_config(view) for view in views]
    if any(config != sizes[0] for config in sizes):
        raise CheckpointError(parts.root, "the two experts have different sizes")
    path = parts.require("vae")
    found = recognise_vae(open_view(path))
    if found is None or found.kind.is_preview:
        raise CheckpointError(path, "is not a Wan VAE")
    vae = Architecture.from_view(found.view)
    if vae.latent_channels != sizes[0].out_dim:
        problem = f"has {vae.latent_channels} latent channels, the transformer predicts {sizes[0].out_dim}"
        raise CheckpointError(path, problem)
    return Base(
        sizes[0],
        tuple(experts),
        variant,
        parts.boundary_ratio,
        spatial_stride=vae.spatial_stride,
        temporal_stride=vae.temporal_stride,
        latent_channels=vae.latent_channels,
        defaults=model_defaults(views[0]),
    )
