"""Guidance by text and by audio, with as few passes as the scales need (MeiGen-AI/MultiTalk)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wancore.sampling.guidance import Direction, Filter, Guidance

SILENT = "silent"


@dataclass(frozen=True)
class Scales:
    """`text` and `audio`: 1 is none."""

    text: float
    audio: float


def talking_guidance(scales: Scales, slot: str, projected: Callable[[], Filter] | None = None) -> Guidance:
    """The passes of a step. `slot`: the audio adapter's.

    With text guidance: `uncond + text (cond - drop_text) + audio (drop_text - uncond)`, where both others
    have the negative prompt and `uncond` no audio. Without: `drop_audio + audio (cond - drop_audio)`.
    `projected` makes the filters of adaptive projected guidance, which counts its scales from cond:
    `cond + (text - 1) f(cond - drop_text) + (audio - 1) f(drop_text - uncond)`.
    """
    silent = {slot: SILENT}
    if scales.text == 1:
        passes = {"positive": {"text": "positive"}, "drop_audio": {"text": "positive", **silent}}
        if projected is not None:
            return Guidance(
                "positive", (Direction(scales.audio - 1, "positive", "drop_audio", projected),), passes
            )
        return Guidance("drop_audio", (Direction(scales.audio, "positive", "drop_audio"),), passes)
    passes = {
        "positive": {"text": "positive"},
        "drop_text": {"text": "negative"},
        "unconditional": {"text": "negative", **silent},
    }
    offset, base = (1.0, "positive") if projected is not None else (0.0, "unconditional")
    directions = (
        Direction(scales.text - offset, "positive", "drop_text", projected),
        Direction(scales.audio - offset, "drop_text", "unconditional", projected),
    )
    return Guidance(base, directions, passes)
