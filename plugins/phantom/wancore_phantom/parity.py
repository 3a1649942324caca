"""Golden-case kinds of Phantom."""

from __future__ import annotations

from wancore.parity import Kind

CASES = "wancore_phantom.parity_cases"

KINDS = (
    Kind("phantom", "ref_letterbox", f"{CASES}:letterbox"),
    Kind("phantom", "sampling", f"{CASES}:sampling"),
    Kind("phantom", "transformer", f"{CASES}:transformer"),
)
