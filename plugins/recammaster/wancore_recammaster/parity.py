"""Golden-case kinds of ReCamMaster."""

from __future__ import annotations

from wancore.parity import Kind

CASES = "wancore_recammaster.parity_cases"

KINDS = (
    Kind("recammaster", "camera", f"{CASES}:camera"),
    Kind("recammaster", "forward", f"{CASES}:forward", placed=True),
    Kind("recammaster", "sampling_loop", f"{CASES}:sampling_loop"),
)
