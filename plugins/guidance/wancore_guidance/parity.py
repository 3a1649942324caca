"""Golden-case kinds that this distribution reproduces."""

from __future__ import annotations

from wancore.parity.kind import Kind

GROUP = "_guidance_and_caching"
CASES, RUNS = "wancore_guidance.parity_cases", "wancore_guidance.parity_runs"

KINDS: tuple[Kind, ...] = (
    Kind(GROUP, "guidance", f"{CASES}:guidance"),
    Kind(GROUP, "tsr", f"{CASES}:tsr"),
    Kind(GROUP, "nag", f"{CASES}:nag"),
    Kind(GROUP, "feta_scores", f"{CASES}:feta_scores"),
    Kind(GROUP, "freenoise", f"{CASES}:freenoise"),
    Kind(GROUP, "freeinit", f"{CASES}:freeinit"),
    Kind(GROUP, "latent_shift", f"{CASES}:latent_shift"),
    Kind(GROUP, "rope", f"{CASES}:rope"),
    Kind(GROUP, "attention_split", f"{CASES}:attention_split"),
    Kind(GROUP, "tiny_run", f"{RUNS}:tiny_run"),
)
