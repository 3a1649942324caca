"""Golden-case kinds that this distribution reproduces."""

from __future__ import annotations

from wancore.parity.kind import Kind

GROUP, CASES = "_guidance_and_caching", "wancore_caching.parity_cases"

KINDS: tuple[Kind, ...] = (
    Kind(GROUP, "teacache_decisions", f"{CASES}:teacache_decisions"),
    Kind(GROUP, "magcache_tables", f"{CASES}:magcache_tables"),
    Kind(GROUP, "magcache_decisions", f"{CASES}:magcache_decisions"),
)
