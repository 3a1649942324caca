"""Everything about a request that can be known before the queue."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jsonschema
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from wancore_proto.v1 import asset_service_pb2, catalog_service_pb2, frames_pb2, job_pb2

from wancore.embedded import OWN
from wancore_server.catalog.catalog import Catalog
from wancore_server.clock import now_ns
from wancore_server.errors import Violation, invalid, limit_exceeded, missing_assets, unsupported
from wancore_server.jobs.loras import MAX_LORAS, lora_limits, lora_violations
from wancore_server.names import DIGEST, ID
from wancore_server.settings import ServerSettings
from wancore_server.store import AssetRow
from wancore_server.wire import wire_pb2

Declaration = catalog_service_pb2.InputDeclaration
Kind = asset_service_pb2.Asset.Kind
KINDS = {
    Declaration.TYPE_IMAGE: (Kind.KIND_IMAGE,),
    Declaration.TYPE_VIDEO: (Kind.KIND_VIDEO,),
    Declaration.TYPE_MASK: (Kind.KIND_IMAGE, Kind.KIND_VIDEO),
    Declaration.TYPE_AUDIO: (Kind.KIND_AUDIO, Kind.KIND_VIDEO),
    Declaration.TYPE_OTHER: tuple(kind for kind in Kind.values() if kind),  # its reader decides
}
MAX_SEED = 2**63 - 1
MAX_ATTACHMENTS, MAX_METHODS, MAX_GUIDANCE, MAX_ENCODINGS, MAX_INPUTS = 8, 16, 2, 16, 64
MAX_FRAMES, MAX_STEPS, MAX_MODULES = 100_000, 1000, 2
EXACT = 2**53  # doubles hold integers below this


@dataclass(frozen=True)
class Checked:
    """A valid request. `families`: the lead first. `digests`: the assets it needs."""

    families: tuple[catalog_service_pb2.Family, ...]
    engine_model: str
    model: str
    digests: frozenset[str]


class Validation:
    """Checks one request; everything that is wrong is told together."""

    def __init__(
        self, spec: job_pb2.JobSpec, catalog: Catalog, settings: ServerSettings, live: bool = False
    ) -> None:
        self.spec, self.catalog, self.settings, self.live = spec, catalog, settings, live

    def check(self, assets: Mapping[str, AssetRow]) -> Checked:
        """Raises `ApiError`, after `limits`. `assets`: those of the request's digests that are there."""
        families = self.families()
        found = list(self.violations(families))
        if found:
            raise invalid(found)
        missing = sorted(f"assets/{d}" for d in self.digests() if d not in assets)
        if missing:
            raise missing_assets(missing)
        wrong = list(self.wrong_kinds(families, assets))
        if wrong:
            raise invalid(wrong, "ASSET_UNREADABLE")
        for use in self.spec.loras:
            self.catalog.loras.file(use.name)
        model = self.model()
        return Checked(
            families,
            model.engine_name if model is not None else "",
            model.model.name if model is not None else "",
            self.digests(),
        )

    def families(self) -> tuple[catalog_service_pb2.Family, ...]:
        """The lead first. Raises `ApiError`, also where one cannot lead or be attached as asked."""
        lead = self.lead()
        Role = catalog_service_pb2.Family.Role
        if Role.ROLE_LEAD not in lead.roles:
            raise unsupported("spec.family", lead.name, "can only be attached to another family")
        attached = tuple(self.catalog.family(use.family) for use in self.spec.attachments)
        for i, family in enumerate(attached):
            if Role.ROLE_ATTACHMENT not in family.roles:
                raise unsupported(f"spec.attachments[{i}].family", family.name, "cannot be attached")
        return (lead, *attached)

    @property
    def has_default(self) -> bool:
        return any(file.model.default_model for file in self.catalog.found.models)

    def model(self) -> wire_pb2.ModelFile | None:
        """The model that was named, or the default; the engine's own small one stands for those of all
        families. None: none is known."""
        if not self.spec.model and not self.has_default:
            return None
        found, family = self.catalog.model(self.spec.model), self.spec.family
        if self.spec.model or not family or found.engine_name != str(OWN.folder):
            return found
        own = (f for f in self.catalog.found.models if f"families/{f.embedded_for}" == family)
        return next(own, found if found.model.family == family else None)

    def lead(self) -> catalog_service_pb2.Family:
        """The family that was named, or the one that knows the model. Raises `ApiError`."""
        self.catalog.require_ready()
        name = self.spec.family
        if not name and (self.spec.model or self.has_default):
            name = self.catalog.model(self.spec.model).model.family
        if not name:
            problem = "must be families/{id}, one that ListFamilies names: no family knows the model"
            raise invalid([Violation("spec.family", problem)])
        return self.catalog.family(name)

    def digests(self) -> frozenset[str]:
        """Every well-formed digest in the request."""
        maps = (self.spec.inputs, *(use.inputs for use in self.spec.attachments))
        names = [name for inputs in maps for name in inputs.values()]
        return frozenset(
            n.removeprefix("assets/") for n in names if DIGEST.fullmatch(n.removeprefix("assets/"))
        )

    def limits(self) -> None:
        """Raises `LIMIT_EXCEEDED`. What it lets pass is small enough to be looked at item by item."""
        spec = self.spec
        self.counts(
            ("spec.attachments", spec.attachments, MAX_ATTACHMENTS),
            ("spec.sampling.methods", spec.sampling.methods, MAX_METHODS),
            ("spec.sampling.guidance", spec.sampling.guidance, MAX_GUIDANCE),
            ("spec.sampling.sigmas", spec.sampling.sigmas, MAX_STEPS + 1),
            ("spec.modules", spec.modules, MAX_MODULES),
            ("spec.loras", spec.loras, MAX_LORAS),
            ("spec.delivery.encodings", spec.delivery.encodings, MAX_ENCODINGS),
            ("spec.inputs", spec.inputs, MAX_INPUTS),
        )
        self.counts(
            *(
                (f"spec.attachments[{i}].inputs", u.inputs, MAX_INPUTS)
                for i, u in enumerate(spec.attachments)
            ),
            *(
                (f"spec.attachments[{i}].modules", u.modules, MAX_MODULES)
                for i, u in enumerate(spec.attachments)
            ),
        )
        self.counts(*lora_limits(spec.loras))
        for field in ("prompt", "negative_prompt"):
            size = len(getattr(self.spec, field).encode())
            if size > self.settings.prompt_bytes:
                raise limit_exceeded(f"spec.{field}", self.settings.prompt_bytes, size)
        structs = [self.spec.params, *(u.params for u in self.spec.attachments)]
        structs += [m.params for m in self.spec.sampling.methods]
        size = sum(struct.ByteSize() for struct in structs)
        if size > self.settings.parameter_bytes:
            raise limit_exceeded("spec.params", self.settings.parameter_bytes, size)
        for struct in structs:
            if (deep := depth(struct)) > self.settings.parameter_depth:
                raise limit_exceeded("spec.params", self.settings.parameter_depth, deep)

    def counts(self, *repeated: tuple[str, Sized, int]) -> None:
        for field, values, most in repeated:
            if len(values) > most:
                raise limit_exceeded(field, most, len(values))

    def violations(self, families: tuple[catalog_service_pb2.Family, ...]) -> Iterator[Violation]:
        spec = self.spec
        yield from shape_violations(spec.shape)
        if spec.HasField("seed") and spec.seed > MAX_SEED:
            yield Violation("spec.seed", f"at most {MAX_SEED}")
        if spec.model and not (spec.model.startswith("models/") and ID.fullmatch(spec.model[7:])):
            yield Violation("spec.model", "must be models/{id}")
        yield from self.module_violations("spec.modules", spec.modules)
        for i, use in enumerate(spec.attachments):
            yield from self.module_violations(f"spec.attachments[{i}].modules", use.modules)
        yield from lora_violations(spec.loras)
        yield from self.sampling_violations()
        yield from delivery_violations(spec.delivery, spec.shape)
        yield from time_violations(spec)
        for field, enum in (("priority", job_pb2.Priority), ("on_disconnect", job_pb2.OnDisconnect)):
            if getattr(spec, field) not in enum.values():
                yield Violation(f"spec.{field}", "is not a value that this server knows")
        yield from self.family_violations("spec", families[0], spec.params, spec.inputs)
        for i, (family, use) in enumerate(zip(families[1:], spec.attachments, strict=True)):
            yield from self.family_violations(f"spec.attachments[{i}]", family, use.params, use.inputs)

    def module_violations(self, at: str, names: Sequence[str]) -> Iterator[Violation]:
        known = {file.model.name for file in self.catalog.found.models}
        for name in names:
            if name not in known:
                yield Violation(at, "must be models/{id}, one that ListModels names")

    def family_violations(
        self, at: str, family: catalog_service_pb2.Family, params: Struct, inputs: Mapping[str, str]
    ) -> Iterator[Violation]:
        yield from schema_violations(f"{at}.params", plain(params), self.catalog.schema(family))
        for role, name in inputs.items():
            if declaration_for(family.inputs, role) is None:
                roles = ", ".join(usage(d) for d in family.inputs) or "none"
                yield Violation(f"{at}.inputs.{role}", f"must be one of the inputs of {family.name}: {roles}")
            if not name.startswith("assets/") or DIGEST.fullmatch(name[7:]) is None:
                yield Violation(f"{at}.inputs.{role}", "must be assets/sha256-{64 hex digits}")
        for declared in family.inputs:
            needed = declared.required and not (self.live and declared.live)
            if needed and not any(matches(declared, role) for role in inputs):
                yield Violation(f"{at}.inputs.{usage(declared)}", f"is required: {declared.description}")

    def sampling_violations(self) -> Iterator[Violation]:
        sampling, found = self.spec.sampling, self.catalog.found
        if sampling.steps > MAX_STEPS:
            yield Violation("spec.sampling.steps", f"1 to {MAX_STEPS}, or 0 for the default")
        if sampling.solver and sampling.solver not in found.solvers:
            yield Violation("spec.sampling.solver", f"one of: {', '.join(found.solvers)}")
        if not all(0 <= g <= 100 for g in sampling.guidance):
            yield Violation("spec.sampling.guidance", "one or two numbers from 0 to 100")
        if sampling.HasField("shift") and not 0 < sampling.shift <= 100:
            yield Violation("spec.sampling.shift", "above 0, at most 100")
        for i, use in enumerate(sampling.methods):
            method = self.catalog.method(use.name)
            if method is None:
                names = ", ".join(m.name for m in found.methods) or "none installed"
                yield Violation(f"spec.sampling.methods[{i}].name", f"one of: {names}")
            else:
                schema = json.loads(method.parameter_schema)
                yield from schema_violations(f"spec.sampling.methods[{i}].params", plain(use.params), schema)
        if sampling.HasField("windows"):
            yield from window_violations(sampling.windows)

    def wrong_kinds(
        self, families: tuple[catalog_service_pb2.Family, ...], assets: Mapping[str, AssetRow]
    ) -> Iterator[Violation]:
        uses = [("spec", families[0], self.spec.inputs)]
        uses += [
            (f"spec.attachments[{i}]", family, use.inputs)
            for i, (family, use) in enumerate(zip(families[1:], self.spec.attachments, strict=True))
        ]
        for at, family, inputs in uses:
            for role, name in inputs.items():
                declared = declaration_for(family.inputs, role)
                asset = assets[name.removeprefix("assets/")]
                accepted = KINDS.get(declared.type, (Kind.KIND_DATA,)) if declared is not None else ()
                if asset.kind not in accepted:
                    kinds = " or ".join(Kind.Name(k).removeprefix("KIND_").lower() for k in accepted)
                    yield Violation(f"{at}.inputs.{role}", f"must be {kinds or 'declared'}")


def shape_violations(shape: frames_pb2.VideoShape) -> Iterator[Violation]:
    for field in ("width", "height"):
        value = getattr(shape, field)
        if value and not 16 <= value <= 8192:
            yield Violation(f"spec.shape.{field}", "16 to 8192 pixels, or 0 for the default")
    if bool(shape.width) != bool(shape.height):
        yield Violation("spec.shape", "width and height come together")
    if shape.frame_count > MAX_FRAMES:
        yield Violation("spec.shape.frame_count", f"1 to {MAX_FRAMES}, or 0 for the default")
    if shape.HasField("frame_rate"):
        rate = shape.frame_rate
        fits = 1 <= rate.numerator <= 100_000_000 and 1 <= rate.denominator <= 100_000
        if not fits or rate.numerator > 240 * rate.denominator:
            yield Violation("spec.shape.frame_rate", "a ratio above 0, at most 240, over at most 100000")


def delivery_violations(delivery: job_pb2.Delivery, shape: frames_pb2.VideoShape) -> Iterator[Violation]:
    known = [e for e in frames_pb2.Encoding.values() if e]
    for i, encoding in enumerate(delivery.encodings):
        if encoding not in known:
            yield Violation(f"spec.delivery.encodings[{i}]", "is not an encoding that this server knows")
        elif encoding in delivery.encodings[:i]:
            yield Violation(f"spec.delivery.encodings[{i}]", "is there twice")
        elif encoding >= frames_pb2.ENCODING_H264_FMP4 and (shape.width % 2 or shape.height % 2):
            yield Violation(f"spec.delivery.encodings[{i}]", "H.264 needs an even width and height")


def time_violations(spec: job_pb2.JobSpec) -> Iterator[Violation]:
    if spec.HasField("max_run_duration"):
        span = spec.max_run_duration
        if not 1 <= span.seconds <= 10_000_000 or not 0 <= span.nanos < 1_000_000_000:
            yield Violation("spec.max_run_duration", "at least 1 s, at most 10000000 s")
    if spec.HasField("expire_time"):
        time = spec.expire_time
        if not 0 < time.seconds < 4_000_000_000 or not 0 <= time.nanos < 1_000_000_000:
            yield Violation("spec.expire_time", "a time after 1970 and before 2096")
        elif spec.expire_time.ToNanoseconds() <= now_ns():
            yield Violation("spec.expire_time", "must be in the future")


def window_violations(windows: job_pb2.OverlapWindows) -> Iterator[Violation]:
    at, frames = "spec.sampling.windows", windows.frame_count or 81
    if windows.schedule not in ("", "static_standard", "uniform_standard", "uniform_looped"):
        yield Violation(f"{at}.schedule", "static_standard, uniform_standard or uniform_looped")
    if windows.fuse not in ("", "linear", "pyramid"):
        yield Violation(f"{at}.fuse", "linear or pyramid")
    if not 5 <= frames <= MAX_FRAMES:
        yield Violation(f"{at}.frame_count", f"5 to {MAX_FRAMES}, or 0 for 81")
    if windows.HasField("overlap") and windows.overlap >= frames:
        yield Violation(f"{at}.overlap", f"below {frames}, the frames of a window")


def schema_violations(at: str, value: Any, schema: dict[str, Any]) -> Iterator[Violation]:
    if not_finite(value):
        yield Violation(at, "NaN and infinity are no values of JSON")
        return
    validator = jsonschema.Draft202012Validator(schema)
    for error in sorted(validator.iter_errors(value), key=lambda e: str(e.json_path)):
        path = ".".join([at, *(str(part) for part in error.absolute_path)])
        if error.validator == "additionalProperties":
            known = ", ".join(sorted(schema.get("properties", {}))) or "none"
            unknown = (
                [k for k in value if k not in schema.get("properties", {})] if isinstance(value, dict) else []
            )
            for name in unknown or ["?"]:
                yield Violation(f"{path}.{name}", f"unknown; accepted: {known}")
        else:
            yield from problem_of(at, error)


def problem_of(at: str, error: jsonschema.ValidationError) -> Iterator[Violation]:
    """Of a value that may be left out: what is wrong with it as anything but null."""
    choices = [c for c in error.context or () if (c.validator, c.validator_value) != ("type", "null")]
    if error.validator == "anyOf" and choices:
        yield from problem_of(at, choices[0])
        return
    path = ".".join([at, *(str(part) for part in error.absolute_path)])
    least = {"minItems": "at least", "maxItems": "at most"}.get(str(error.validator))
    text = f"{least} {error.validator_value} items" if least else error.message
    yield Violation(path, text[:200])


def not_finite(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(not_finite(v) for v in value.values())
    return isinstance(value, list) and any(not_finite(v) for v in value)


def falls(sigmas: Sequence[float]) -> bool:
    return len(sigmas) >= 2 and all(1 >= a > b >= 0 for a, b in pairwise(sigmas))


def declaration_for(
    declared: Iterable[catalog_service_pb2.InputDeclaration], role: str
) -> catalog_service_pb2.InputDeclaration | None:
    return next((d for d in declared if matches(d, role)), None)


def usage(declared: catalog_service_pb2.InputDeclaration) -> str:
    """How a request names it: `role`, or `role[0]` where there can be several."""
    head, dot, rest = declared.role.partition(".")
    return f"{head}[0]{dot}{rest}" if declared.many else declared.role


def matches(declared: catalog_service_pb2.InputDeclaration, role: str) -> bool:
    """Whether `role` is the declared one, or one of the many: `role[0]`, `context[0].video`."""
    if not declared.many:
        return role == declared.role
    head, dot, rest = declared.role.partition(".")
    return re.fullmatch(rf"{re.escape(head)}\[\d{{1,4}}\]{re.escape(dot + rest)}", role) is not None


def depth(struct: Struct) -> int:
    """Levels of nesting, without recursing deeper than protobuf has already allowed."""
    deepest, waiting = 0, [(1, value) for value in struct.fields.values()]
    while waiting:
        level, value = waiting.pop()
        deepest = max(deepest, level)
        kind = value.WhichOneof("kind")
        if kind == "struct_value":
            waiting += [(level + 1, v) for v in value.struct_value.fields.values()]
        elif kind == "list_value":
            waiting += [(level + 1, v) for v in value.list_value.values]
    return deepest


def plain(value: Struct | ListValue | Value) -> Any:
    """As Python values; whole numbers that a double holds exactly become integers."""
    if isinstance(value, Struct):
        return {name: plain(v) for name, v in value.fields.items()}
    if isinstance(value, ListValue):
        return [plain(v) for v in value.values]
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < EXACT else number
    if kind in ("struct_value", "list_value"):
        return plain(getattr(value, kind))
    return getattr(value, kind) if kind in ("string_value", "bool_value") else None
