"""Finding the methods of a request by name, reading their parameters, making them for a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from wancore.errors import Conflict, InvalidInput, PluginError
from wancore.plugins.manager import PluginManager
from wancore.sampling.method import Method, MethodSpec, Run


@dataclass(frozen=True)
class ChosenMethod:
    """A method that a request uses, with its parameters read."""

    spec: MethodSpec
    parameters: BaseModel


def all_methods(plugins: PluginManager) -> tuple[MethodSpec, ...]:
    """The methods of every plugin. Raises PluginError if two have one name."""
    owners: dict[str, str] = {}
    specs = []
    for owner, spec in plugins.collect("wancore_methods"):
        if spec.name in owners:
            raise PluginError(f"method {spec.name!r} comes from both {owners[spec.name]} and {owner}")
        owners[spec.name] = owner
        specs.append(spec)
    return tuple(specs)


def find_method(name: str, specs: Iterable[MethodSpec]) -> MethodSpec:
    """The method called `name`; raises InvalidInput that lists the names there are."""
    by_name = {spec.name: spec for spec in specs}
    if name not in by_name:
        raise InvalidInput(
            "method", name, f"one of {', '.join(sorted(by_name)) or 'none: no plugin has any'}"
        )
    return by_name[name]


def choose_method(name: str, values: Mapping[str, Any], specs: Iterable[MethodSpec]) -> ChosenMethod:
    """The method called `name` with `values` for its parameters; raises InvalidInput."""
    spec = find_method(name, specs)
    try:
        return ChosenMethod(spec, spec.parameters.model_validate(dict(values)))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["method", name, *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            known = ", ".join(spec.parameters.model_fields) or "none: it has no parameters"
            raise InvalidInput(field, first["input"], f"a parameter of {name}: {known}") from None
        raise InvalidInput(field, first["input"], first["msg"]) from None


def parse_method(text: str, specs: Iterable[MethodSpec]) -> ChosenMethod:
    """Reads `NAME`, `NAME:field=value,field=value` or `NAME:{json object}`; raises InvalidInput.

    A comma separates fields only where the name of a field and `=` follow, so that texts may hold
    commas. Lists are written with `+` (`blocks=9+10`) or as JSON.
    """
    name, _, rest = text.partition(":")
    spec = find_method(name, specs)
    return choose_method(name, read_values(spec, rest), (spec,))


def read_values(spec: MethodSpec, text: str) -> dict[str, Any]:
    accepted = "field=value,field=value or a JSON object"
    if text.startswith("{"):
        try:
            values: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError:
            raise InvalidInput(f"method.{spec.name}", text, accepted) from None
        return values
    names = "|".join(map(re.escape, spec.parameters.model_fields))
    fields = re.split(f",(?=(?:{names})=)", text) if names else [text]
    pairs = [field.partition("=") for field in fields if field]
    if any(not separator for _, separator, _ in pairs):
        raise InvalidInput(f"method.{spec.name}", text, accepted)
    return {name: value for name, _, value in pairs}


def check_together(chosen: Sequence[ChosenMethod]) -> None:
    """Raises InvalidInput for a method named twice, Conflict where two need what only one can have."""
    names: set[str] = set()
    owners: dict[str, str] = {}
    for spec in (c.spec for c in chosen):
        if spec.name in names:
            raise InvalidInput("method", spec.name, "each method once")
        if spec.owns in owners:
            raise Conflict(spec.owns, owners[spec.owns], spec.name)
        names.add(spec.name)
        if spec.owns:
            owners[spec.owns] = spec.name


def make_methods(chosen: Sequence[ChosenMethod], run: Run) -> list[Method]:
    """The methods of one run, in the order in which they act; the order of the request does not matter."""
    check_together(chosen)
    ordered = sorted(chosen, key=lambda c: (c.spec.order, c.spec.name))
    return [c.spec.make(c.parameters, run) for c in ordered]
