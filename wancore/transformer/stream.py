"""What all rows of one prediction share, from the first block to the last."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    def canvas_only(self) -> Stream:
        """The canvas rows as a sequence of their own, for a side network that no segment enters."""
        n = self.canvas_rows
        if len(self.rotation.cos) == n:
            return self
        return replace(
            self,
            levels=self.levels.first(n),
            rotation=self.rotation.rows(0, n),
            text_rows=min(self.text_rows, n),
            plan=self.plan.first(n) if self.plan is not None else None,
        )
