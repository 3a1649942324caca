"""What all rows of one prediction share, from the first block to the last."""

from __future__ import annotations

from dataclasses import dataclass

from wancore.kernels.attention import Attend
from wancore.transformer.levels import Levels
from wancore.transformer.plan import Plan
from wancore.transformer.rope import Rotation


@dataclass(frozen=True)
class Stream:
    """Rows: canvas [0, canvas_rows), then segments; the first `text_rows` take part in text attention."""

    levels: Levels
    rotation: Rotation
    canvas_rows: int
    text_rows: int
    plan: Plan | None
    attend: Attend
