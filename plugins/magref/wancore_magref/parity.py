"""Golden-case kinds of MAGREF."""

from __future__ import annotations

from wancore.parity import Kind

CASES = "wancore_magref.parity_cases"

KINDS = (
    Kind("magref", "canvas", f"{CASES}:canvas"),
    Kind("magref", "transformer", f"{CASES}:transformer"),
)
