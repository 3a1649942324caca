"""Amounts of memory as people write them."""

from __future__ import annotations

import re

UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
ACCEPTED = "an amount such as 16GB or 14.5GiB, or a share such as 80%"


def parse_amount(text: str) -> tuple[float, bool]:
    """`16GB` as (bytes, False), `80%` as (0.8, True); a bare number is in GB. Raises `ValueError`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z%]*)\s*", text.lower())
    if match is None or match[2] not in ("", "%", *UNITS):
        raise ValueError(ACCEPTED)
    value = float(match[1])
    if match[2] == "%":
        if not 0 < value <= 100:
            raise ValueError(ACCEPTED)
        return value / 100, True
    amount = value * UNITS[match[2] or "gb"]
    if amount <= 0:
        raise ValueError(ACCEPTED)
    return amount, False
