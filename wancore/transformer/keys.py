"""Sets of keys and values that text attention reads: the text, the image tokens, an adapter's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from wancore.kernels.attention import Attend, grouped
from wancore.transformer.rows import Rows, add_rows


@dataclass(frozen=True)
class KeySet:
    """Keys and values with a softmax of their own.

    `k`, `v`: [M, H, d], or [G, M, H, d] when the rows fall into G equal groups (one per clip frame)
    that each have their own keys; `lengths` [G] then says how many of each group's M keys count.
    `rows`: the query rows (start, stop) that read them; None: every row of text attention.
    `scale`: factor on the result, a number or a scalar tensor.
    """

    k: Tensor
    v: Tensor
    rows: tuple[int, int] | None = None
    scale: float | Tensor | None = None
    lengths: Tensor | None = None

    def read(self, q: Tensor, attend: Attend) -> Rows:
        """q [m, H, d] -> result for the rows this set serves."""
        start, stop = self.rows or (0, len(q))
        asking = q[start:stop]
        if self.k.ndim == 4:
            split = asking.unflatten(0, (len(self.k), -1))
            out = grouped(split, self.k, self.v, self.lengths).flatten(0, 1)
        else:
            out = attend(asking, self.k, self.v)
        return Rows(out if self.scale is None else out * self.scale, start)


@dataclass(frozen=True)
class TextKeys:
    """What text attention of one block reads: `text` (several where prompts share the rows), and `image`."""

    text: tuple[KeySet, ...]
    image: tuple[KeySet, ...] = ()


def read_all(q: Tensor, sets: Sequence[KeySet], attend: Attend) -> Tensor:
    """The sum over `sets` [m, H, d]; rows that no set serves are zero."""
    return add_rows(None, [s.read(q, attend) for s in sets], like=q)
