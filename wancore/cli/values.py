"""Values in the forms that a command line can hold."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wancore.errors import InvalidInput


def assignments(field: str, texts: Sequence[str]) -> dict[str, str]:
    """`["name=value", …]` as a dictionary. Raises `InvalidInput` for another form, or a name twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInput(field, text, "NAME=VALUE")
        if name in found:
            raise InvalidInput(field, text, f"{name} once")
        found[name] = value
    return found


def parameters(field: str, texts: Sequence[str]) -> dict[str, Any]:
    """As `assignments`, each value read as JSON where it is some, else as text."""
    return {name: plain(value) for name, value in assignments(field, texts).items()}


def plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def named_use(field: str, text: str) -> dict[str, Any]:
    """`NAME` or `NAME:field=value,field=value`. A list is written `field=[1;2]` or `field=1;2`.

    A comma separates fields only where another `field=` follows it, so that texts may hold commas.
    """
    name, _, rest = text.partition(":")
    if not name:
        raise InvalidInput(field, text, "NAME or NAME:field=value,field=value")
    pairs = assignments(field, re.split(r",(?=[\w-]+=)", rest)) if rest else {}
    return {"name": name, "params": {key: listed(value) for key, value in pairs.items()}}


def listed(text: str) -> Any:
    if ";" in text:
        return [plain(item) for item in text.strip("[]").split(";")]
    return plain(text)


def guidance_scales(text: str) -> tuple[float, ...]:
    """`5` or `4,3`: one scale, or one per expert in the order of use."""
    return numbers("guidance", text, "a number, or two separated by a comma")


def noise_levels(text: str) -> tuple[float, ...]:
    """`1,0.9,0.6,0`."""
    return numbers("sigmas", text, "numbers from at most 1 down to 0, separated by commas")


def numbers(field: str, text: str, accepted: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(field, text, accepted) from None


def input_files(texts: Sequence[str]) -> dict[str, Path]:
    return {role: Path(file) for role, file in assignments("input", texts).items()}
