"""Golden-case kinds of this component."""

from __future__ import annotations

from wancore.parity.kind import Kind

KINDS: tuple[Kind, ...] = (
    Kind("_checkpoints", "checkpoint", "wancore.checkpoints.parity_cases:checkpoint"),
    Kind("_checkpoints", "quant_linear", "wancore.checkpoints.parity_cases:quant_linear", tolerance=1e-5),
)
