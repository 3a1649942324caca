"""A plugin's methods as a page: generated from their declarations, so that it cannot go stale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wancore.sampling.method import MethodSpec

BEGIN, END = "<!-- methods: generated -->", "<!-- end of methods -->"


def with_card(page: str, specs: Iterable[MethodSpec]) -> str:
    """`page` with the part between the two markers replaced. Raises ValueError if they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{card(specs)}\n{END}{after}"


def card(specs: Iterable[MethodSpec]) -> str:
    """Markdown: a section per method, in order of their names."""
    return "\n".join(section(spec) for spec in sorted(specs, key=lambda s: s.name))


def section(spec: MethodSpec) -> str:
    lines = [f"### {spec.name}", "", f"{spec.help}.", ""]
    schema = spec.parameters.model_json_schema()
    properties = schema.get("properties", {})
    if properties:
        lines += ["| parameter | accepted | default | meaning |", "|---|---|---|---|"]
        required = schema.get("required", ())
        lines += [row(name, field, name in required) for name, field in properties.items()]
        lines.append("")
    if spec.owns:
        lines += [f"Needs {spec.owns} for itself: no second such method in a request.", ""]
    return "\n".join([*lines, "Source: " + ", ".join(spec.sources) + ".", ""])


def row(name: str, field: Mapping[str, Any], required: bool) -> str:
    default = "required" if required else shown(field.get("default"))
    return f"| `{name}` | {accepted(field)} | {default} | {field.get('description', '')} |"


def shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ";".join(map(str, default)) or "none"
    return "none" if default in (None, "") else str(default)


def accepted(field: Mapping[str, Any]) -> str:
    """What a field takes, from its JSON schema."""
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"] if value is not None)
    if "anyOf" in field:
        return " or ".join(accepted(option) for option in field["anyOf"] if option.get("type") != "null")
    match field.get("type"):
        case "array":
            return f"{NAMES[field['items']['type']]}s, `a;b`"
        case "boolean":
            return "`true`, `false`"
        case kind:
            return NAMES[str(kind)] + limits(field)


NAMES = {"number": "number", "integer": "whole number", "string": "text"}


def limits(field: Mapping[str, Any]) -> str:
    low, above, high = field.get("minimum"), field.get("exclusiveMinimum"), field.get("maximum")
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    if above is not None and high is not None:
        return f" above {above:g}, up to {high:g}"
    if low is not None:
        return f", at least {low:g}"
    return "" if above is None else f" above {above:g}"
