"""Golden-case kinds of ATI."""

from __future__ import annotations

from wancore.parity import Kind

CASES = "wancore_ati.parity_cases"

KINDS = (
    Kind("ati", "forward", f"{CASES}:forward"),
    Kind("ati", "patch_motion", f"{CASES}:patch_motion"),
    Kind("ati", "tracks", f"{CASES}:tracks"),
)
