"""Golden-case kinds of Stand-In."""

from __future__ import annotations

from wancore.parity import Kind

CASES = "wancore_standin.parity_cases"

KINDS = (
    Kind("standin", "face_crop", f"{CASES}:face_crop"),
    Kind("standin", "sampling", f"{CASES}:sampling"),
    Kind("standin", "two_pass", f"{CASES}:two_pass"),
)
