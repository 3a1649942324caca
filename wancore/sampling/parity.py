"""Golden-case kinds of this component."""

from __future__ import annotations

from wancore.parity.kind import Kind

SCHEDULERS = "wancore.sampling.parity_schedulers"

KINDS: tuple[Kind, ...] = (
    Kind("_schedulers", "upstream_tables", f"{SCHEDULERS}:upstream_tables"),
    Kind("_schedulers", "upstream_trajectories", f"{SCHEDULERS}:upstream_trajectories"),
    Kind("_schedulers", "wan22_boundary", f"{SCHEDULERS}:wan22_boundary"),
    Kind("_schedulers", "lightx2v_tables", f"{SCHEDULERS}:lightx2v_tables"),
)
