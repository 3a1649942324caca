"""Modulation levels: the distinct timesteps of a sequence, and which row has which.

A row's modulation is looked up, never stored: with one timestep there is one level, with a clean
first frame two, with a timestep per frame as many as frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 4096  # rows whose looked-up modulation may exist at once


@dataclass(frozen=True)
class Levels:
    """`count` levels; `index` [S] int32 names each row's, None where there is only one.

    `runs`: maximal stretches (start, stop, level) of equal level, when they are few.
    """

    count: int = 1
    index: Tensor | None = None
    runs: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def of(cls, index: Tensor) -> Levels:
        """Levels of rows with the given level numbers [S]; all numbers 0..max are kept."""
        index = index.to(torch.int32)
        count = int(index.max()) + 1
        if count == 1:
            return cls()
        edges = (torch.nonzero(index[1:] != index[:-1]).flatten() + 1).tolist()
        starts, stops = [0, *edges], [*edges, len(index)]
        runs = [(a, b, int(index[a])) for a, b in zip(starts, stops, strict=True)]
        return cls(count, index, tuple(runs) if len(runs) <= max(count, 64) else ())

    @classmethod
    def joined(cls, parts: Sequence[Levels], lengths: Sequence[int], device: torch.device | str) -> Levels:
        """Sequences of the given lengths one after another, each with levels of its own."""
        index: list[Tensor] = []
        runs: list[tuple[int, int, int]] = []
        start = count = 0
        for own, length in zip(parts, lengths, strict=True):
            index.append(own.rows(length, device) + count)
            own_runs = own.runs if own.index is not None else ((0, length, 0),)
            runs += [(start + a, start + b, count + level) for a, b, level in own_runs]
            start, count = start + length, count + own.count
        covered = sum(b - a for a, b, _ in runs) == start
        return cls(count, torch.cat(index), tuple(runs) if covered else ())

    def first(self, rows: int) -> Levels:
        """The levels of the first `rows` rows; level numbers stay the same."""
        if self.index is None:
            return self
        runs = tuple((a, min(b, rows), level) for a, b, level in self.runs if a < rows)
        return Levels(self.count, self.index[:rows], runs)

    def rows(self, length: int, device: torch.device | str = "cpu") -> Tensor:
        """[length] int32: the level of each row, written out where there is only one."""
        return self.index if self.index is not None else torch.zeros(length, dtype=torch.int32, device=device)

    def apply(self, f: Callable[..., Tensor], x: Tensor, tables: Sequence[Tensor], *rows: Tensor) -> Tensor:
        """`f(x rows, *rows' rows, *tables' rows)` for every row; `tables` [count, D], `rows` [S, D].

        One broadcast per run of equal levels, or chunk by chunk where levels change too often.
        """
        if self.index is None:
            return f(x, *rows, *(t[0] for t in tables))
        out = torch.empty_like(x)
        if self.runs:
            for a, b, level in self.runs:
                out[a:b] = f(x[a:b], *(r[a:b] for r in rows), *(t[level] for t in tables))
            return out
        for a in range(0, len(x), CHUNK):
            at = self.index[a : a + CHUNK]
            out[a : a + CHUNK] = f(
                x[a : a + CHUNK], *(r[a : a + CHUNK] for r in rows), *(t[at] for t in tables)
            )
        return out
