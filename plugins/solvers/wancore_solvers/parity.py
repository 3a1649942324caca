"""The golden-case kinds that this distribution's solvers reproduce."""

from __future__ import annotations

from wancore.parity.kind import Kind

HANDLERS = "wancore_solvers.parity_handlers"

KINDS: tuple[Kind, ...] = tuple(
    Kind("_schedulers", kind, f"{HANDLERS}:{kind}")
    for kind in (
        "schedule_tables",
        "trajectories",
        "multitalk_euler",
        "rcm_upstream",
        "pusa_per_frame",
        "ttm",
        "differential",
    )
)
