"""Settling a request before anything is loaded: whose model it is, and every value it leaves open."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.canonical import open_transformer
from wancore.checkpoints.defaults import ModelDefaults, model_defaults
from wancore.checkpoints.open import open_view
from wancore.checkpoints.ownership import BASE
from wancore.checkpoints.parts import Parts
from wancore.engine.compose import CANVAS_HEAD, check_claims
from wancore.engine.lead import Locate, experts_of, lead_claim, lead_family
from wancore.engine.modules import ExpertFiles, split
from wancore.errors import CheckpointError, Conflict, InvalidInput
from wancore.plugins.family import Base, Family
from wancore.plugins.inputs import InputType, check_own_types, check_roles, parse_parameters
from wancore.request import MAX_SEED, Request
from wancore.sampling.begin import Begin
from wancore.vae.architecture import Architecture
from wancore.vae.files import recognise as recognise_vae


@dataclass(frozen=True)
class Plan:
    """A request with its families and its base model, known from headers alone.

    `experts`: the files of each, by the name of the expert, in the order of use. `begin`: where the
    schedule begins, and the family that says so.
    """

    request: Request
    parts: Parts
    family: Family
    attachments: tuple[Family, ...]
    base: Base
    experts: Mapping[str, ExpertFiles]
    seed: int
    begin: tuple[Family, Begin] | None = None

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
    for each, asked in zip((family, *attachments), own, strict=True):
        with told_of(each, family):
            check_declared(each, asked)
    for files in experts.values():
        views = split(files, (family, *attachments))
        for each, asked in zip((family, *attachments), own, strict=True):
            with told_of(each, family):
                each.check(asked, base, views.get(each.id, views[BASE].renamed({})))
    seed = request.seed if request.seed is not None else secrets.randbelow(MAX_SEED + 1)
    begin = beginning(list(zip((family, *attachments), own, strict=True)))
    return Plan(request, parts, family, attachments, base, experts, seed, begin)


def beginning(families: Sequence[tuple[Family, Request]]) -> tuple[Family, Begin] | None:
    """Who says where the schedule begins, if anybody does. Each family comes with its own inputs.

    Raises `Conflict` for two, and where another family has frames in front of the clip: nobody knows what
    those look like there.
    """
    asked = [(family, begin) for family, own in families if (begin := family.begin(own)) is not None]
    if len(asked) > 1:
        raise Conflict("the beginning of the schedule", asked[0][0].name, asked[1][0].name)
    for family, _ in asked[:1]:
        for other, own in families:
            if other is not family and CANVAS_HEAD in other.claimed(own):
                raise Conflict("what frames in front of the clip begin with", other.name, family.name)
    return asked[0] if asked else None


@contextmanager
def told_of(family: Family, lead: Family) -> Iterator[None]:
    """Refusals say whose inputs and parameters they mean, where that is an attachment's."""
    try:
        yield
    except InvalidInput as error:
        if family is not lead:
            error.attachment = family.id
        raise


def check_declared(family: Family, asked: Request) -> None:
    """Raises `InvalidInput` for inputs and parameters that are not as the family declares them.

    `asked` holds the family's own. Files of types that its plugin brings are read.
    """
    check_roles(family.inputs, asked.roles, family.id)
    parse_parameters(family.parameters, asked.params)
    check_own_types(family.inputs, asked.inputs)


def illustrated(request: Request, family: Family, defaults: ModelDefaults) -> Request:
    """With the checkpoint's own pictures, where the request brings none for its lead."""
    roles = [spec for spec in family.inputs if spec.type in (InputType.IMAGE, InputType.VIDEO)]
    if not defaults.pictures or any(spec.matches(role) for role in request.inputs for spec in roles):
        return request
    return request.model_copy(update={"inputs": {**defaults.pictures, **request.inputs}})


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


def attached_family(name: str, families: Mapping[str, Family]) -> Family:
    able = [f.id for f in families.values() if "attachment" in f.roles]
    if name not in able:
        raise InvalidInput("attachments", name, f"one of those installed: {', '.join(able) or 'none'}")
    return families[name]


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
