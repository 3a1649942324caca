"""A request's adapters: checked, and in the engine's words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from wancore_proto.v1 import job_pb2

from wancore_server.errors import Violation
from wancore_server.names import ID

MAX_LORAS, MAX_STRENGTHS, MAX_BLOCKS, MAX_FILTERS, MAX_FILTER_BYTES = 16, 1000, 256, 64, 200
MAX_STRENGTH, MAX_BLOCK = 1000, 9999
EXPERTS = {job_pb2.LoraUse.EXPERT_HIGH_NOISE: "high", job_pb2.LoraUse.EXPERT_LOW_NOISE: "low"}


def lora_limits(uses: Iterable[job_pb2.LoraUse]) -> Iterator[tuple[str, Sized, int]]:
    """(field, what it holds, how many it may hold)."""
    for i, use in enumerate(uses):
        at = f"spec.loras[{i}]"
        yield f"{at}.strengths", use.strengths, MAX_STRENGTHS
        yield f"{at}.blocks", use.blocks, MAX_BLOCKS
        yield f"{at}.layers", use.layers, MAX_FILTERS
        yield f"{at}.drop", use.drop, MAX_FILTERS


def lora_violations(uses: Iterable[job_pb2.LoraUse]) -> Iterator[Violation]:
    for i, use in enumerate(uses):
        at = f"spec.loras[{i}]"
        if not (use.name.startswith("loras/") and ID.fullmatch(use.name[6:])):
            yield Violation(f"{at}.name", "must be loras/{id}, one that ListLoras names")
        if not all(math.isfinite(s) and abs(s) <= MAX_STRENGTH for s in use.strengths):
            yield Violation(f"{at}.strengths", f"numbers from -{MAX_STRENGTH} to {MAX_STRENGTH}")
        if any(block > MAX_BLOCK for block in use.blocks):
            yield Violation(f"{at}.blocks", f"numbers of blocks, 0 to {MAX_BLOCK}")
        for field in ("layers", "drop"):
            if not all(0 < len(text.encode()) <= MAX_FILTER_BYTES for text in getattr(use, field)):
                yield Violation(f"{at}.{field}", f"parts of names, 1 to {MAX_FILTER_BYTES} bytes each")
        for field, enum in (("expert", job_pb2.LoraUse.Expert), ("dora_norm", job_pb2.LoraUse.DoraNorm)):
            if getattr(use, field) not in enum.values():
                yield Violation(f"{at}.{field}", "is not a value that this server knows")


def lora_fields(use: job_pb2.LoraUse, path: Callable[[str], str]) -> dict[str, Any]:
    """The fields of `wancore.lora.spec.LoraSpec`; `path(name)`: the adapter's file."""
    comfyui = use.dora_norm == job_pb2.LoraUse.DORA_NORM_COMFYUI
    return {
        "name": path(use.name),
        "strength": list(use.strengths) or [1.0],
        "expert": EXPERTS.get(use.expert),
        "blocks": list(use.blocks),
        "layers": list(use.layers),
        "drop": list(use.drop),
        "dora": "comfyui" if comfyui else "trained",
        "partial": use.partial,
    }
