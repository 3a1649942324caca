"""Types for method parameters that take several values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator


def several(value: Any) -> Any:
    """A single value, as a command line gives one, is a list of one."""
    return value if isinstance(value, (list, tuple)) else [value]


Integers = Annotated[tuple[int, ...], BeforeValidator(several)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(several)]
Texts = Annotated[tuple[str, ...], BeforeValidator(several)]
