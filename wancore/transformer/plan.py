"""Who attends to whom in self-attention, as spans of rows: several dense calls, never an S x S mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.kernels.attention import Attend

Span = tuple[int, int]  # rows [start, stop)


@dataclass(frozen=True)
class Plan:
    """`spans`: (query rows, key rows ...) that together cover every row exactly once as a query."""

    spans: tuple[tuple[Span, tuple[Span, ...]], ...]

    @classmethod
    def blocks(cls, lengths: Sequence[int]) -> Plan:
        """Independent stretches of rows: each attends to itself only."""
        stops = [sum(lengths[: i + 1]) for i in range(len(lengths))]
        own = [(stop - length, stop) for stop, length in zip(stops, lengths, strict=True)]
        return cls(tuple((span, (span,)) for span in own))

    @classmethod
    def causal(cls, lengths: Sequence[int]) -> Plan:
        """Block-causal: each stretch attends to itself and to all before it."""
        stops = [sum(lengths[: i + 1]) for i in range(len(lengths))]
        return cls(tuple(((stop - n, stop), ((0, stop),)) for stop, n in zip(stops, lengths, strict=True)))

    def first(self, rows: int) -> Plan:
        """The plan among the first `rows` rows alone."""

        def cut(span: Span) -> Span:
            return span[0], min(span[1], rows)

        return Plan(
            tuple(
                (cut(q), tuple(cut(k) for k in keys if k[0] < rows)) for q, keys in self.spans if q[0] < rows
            )
        )


@dataclass(frozen=True)
class Memory:
    """Keys and values [M, H, d], already normed and rotated, that canvas rows attend to as well."""

    k: Tensor
    v: Tensor


def self_attention(
    attend: Attend,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    plan: Plan | None = None,
    memories: Sequence[Memory] = (),
    canvas_rows: int | None = None,
) -> Tensor:
    """q, k, v [S, H, d] -> [S, H, d]; the first `canvas_rows` rows also see `memories`, in one softmax."""
    if plan is None and not memories:
        return attend(q, k, v)
    rows = len(q)
    canvas = rows if canvas_rows is None else canvas_rows
    spans = plan.spans if plan is not None else (((0, rows), ((0, rows),)),)
    out = torch.empty_like(q)
    for (start, stop), keys, remembers in split_at_canvas(spans, canvas, bool(memories)):
        extra = memories if remembers else ()
        seen_k = [k[a:b] for a, b in keys] + [m.k for m in extra]
        seen_v = [v[a:b] for a, b in keys] + [m.v for m in extra]
        out[start:stop] = attend(q[start:stop], join(seen_k), join(seen_v))
    return out


def split_at_canvas(
    spans: Sequence[tuple[Span, tuple[Span, ...]]], canvas: int, remember: bool
) -> Iterator[tuple[Span, tuple[Span, ...], bool]]:
    """The plan's spans cut where the canvas ends: (queries, keys, whether they see the memories)."""
    for (start, stop), keys in spans:
        if not remember or stop <= canvas or start >= canvas:
            yield (start, stop), keys, remember and stop <= canvas
        else:
            yield (start, canvas), keys, True
            yield (canvas, stop), keys, False


def join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
