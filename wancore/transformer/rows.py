"""A result for some rows of the sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """`tensor` [m, ...] belongs to rows start .. start + m; `strength` multiplies it when it is added."""

    tensor: Tensor
    start: int = 0
    strength: float | Tensor | None = None

    def scaled(self) -> Tensor:
        return self.tensor if self.strength is None else self.tensor * self.strength


def add_rows(x: Tensor | None, updates: Sequence[Rows], like: Tensor | None = None) -> Tensor:
    """`x` [S, ...] plus every update at its rows; x None: zeros like `like`."""
    for update in updates:
        stop = update.start + len(update.tensor)
        rows = len(x) if x is not None else len(like) if like is not None else stop
        if update.start == 0 and stop == rows:
            x = update.scaled() if x is None else x + update.scaled()
            continue
        if stop > rows:
            raise ValueError(f"rows {update.start}..{stop} do not fit a sequence of {rows}")
        base = x if x is not None else torch.zeros_like(like if like is not None else update.tensor)
        changed = base[update.start : stop] + update.scaled()
        x = torch.cat((base[: update.start], changed, base[stop:]))
    if x is None:
        if like is None:
            raise ValueError("nothing to add")
        return torch.zeros_like(like)
    return x
