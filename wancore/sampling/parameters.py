"""Types for method parameters that a command line can also spell."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator


def split(value: Any) -> Any:
    """`9+10` -> ["9", "10"]; anything that is not a string stays."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split("+") if part.strip()]


def split_lines(value: Any) -> Any:
    """`a cat|a dog` -> ["a cat", "a dog"]; anything that is not a string stays."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split("|")]


Integers = Annotated[tuple[int, ...], BeforeValidator(split)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(split)]
Texts = Annotated[tuple[str, ...], BeforeValidator(split_lines)]
