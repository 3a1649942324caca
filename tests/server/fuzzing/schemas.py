"""Values that a JSON schema allows, for the words of it that declared parameters use."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
FAR = 10.0**6
SAID = {"title", "description", "default", "$defs"}  # they allow nothing and forbid nothing
KNOWN = SAID | {
    "$ref", "additionalProperties", "anyOf", "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "items",
    "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "pattern", "properties",
    "required", "type",
}  # fmt: skip


def values(schema: Schema, root: Schema | None = None) -> st.SearchStrategy[Any]:
    """Raises `ValueError` for a word that is not handled here, rather than let it count for nothing."""
    if unknown := set(schema) - KNOWN:
        raise ValueError(f"schema words without a strategy: {sorted(unknown)}")
    root = schema if root is None else root
    if "$ref" in schema:
        return values(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return st.one_of([values(one, root) for one in schema["anyOf"]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    make = {
        "null": st.none,
        "boolean": st.booleans,
        "integer": lambda: whole(schema),
        "number": lambda: numbers(schema),
        "string": lambda: strings(schema),
        "array": lambda: st.lists(
            values(schema.get("items", {"type": "number"}), root),
            min_size=schema.get("minItems", 0),
            max_size=schema.get("maxItems", 4),
        ),
        "object": lambda: objects(schema, root),
    }[schema["type"]]
    return make()


def whole(schema: Schema) -> st.SearchStrategy[int]:
    low = max(schema.get("minimum", -FAR), schema.get("exclusiveMinimum", -FAR) + 1)
    high = min(schema.get("maximum", FAR), schema.get("exclusiveMaximum", FAR) - 1)
    return st.integers(int(low), int(high))


def numbers(schema: Schema) -> st.SearchStrategy[float]:
    return st.floats(
        max(schema.get("minimum", -FAR), schema.get("exclusiveMinimum", -FAR)),
        min(schema.get("maximum", FAR), schema.get("exclusiveMaximum", FAR)),
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
    )


def strings(schema: Schema) -> st.SearchStrategy[str]:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 40)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"]).filter(lambda text: low <= len(text) <= high)
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=low, max_size=high)


def objects(schema: Schema, root: Schema) -> st.SearchStrategy[dict[str, Any]]:
    properties = {name: values(one, root) for name, one in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: one for name, one in properties.items() if name in required},
        optional={name: one for name, one in properties.items() if name not in required},
    )
