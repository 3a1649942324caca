"""Golden-case kinds of MultiTalk."""

from __future__ import annotations

from wancore.parity import Kind

KINDS = (
    Kind("multitalk", "transformer", "wancore_talking.parity_forward:transformer", placed=True),
    Kind("multitalk", "window_loop", "wancore_multitalk.parity_cases:window_loop"),
)
