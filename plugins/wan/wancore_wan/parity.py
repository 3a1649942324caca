"""Golden-case kinds of the base models."""

from __future__ import annotations

from wancore.parity import Kind

CASES = "wancore_wan.parity_cases"
PIPELINES = "wancore_wan.parity_pipelines"

KINDS = (
    Kind("wan", "forward", f"{CASES}:forward", placed=True),
    Kind("wan", "rope", f"{CASES}:rope"),
    Kind("wan", "time", f"{CASES}:time"),
    Kind("wan", "masks", f"{CASES}:masks"),
    Kind("wan", "sizes", f"{CASES}:sizes"),
    Kind("wan", "diffusers_keys", f"{CASES}:diffusers_keys"),
    Kind("wan", "clip_vision", "wancore.encoders.parity_cases:clip_vision", placed=True),
    Kind("wan", "i2v_pipeline", f"{PIPELINES}:i2v"),
    Kind("wan", "flf_pipeline", f"{PIPELINES}:flf2v"),
    Kind("wan", "moe_pipeline", f"{PIPELINES}:two_experts"),
    Kind("wan", "ti2v_pipeline", f"{PIPELINES}:ti2v"),
)
