"""Recording: a run over segments alone, whose inner tensors condition later predictions.

Used where reference tokens do not depend on the video: their keys and values are worked out once
per expert and grid instead of in every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from wancore.kernels.codes import Codes, plain_rows
from wancore.transformer.adapter import Part, Pieces
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.keys import TextKeys
from wancore.transformer.levels import Levels
from wancore.transformer.model import WanTransformer
from wancore.transformer.rope import Frequencies, Rotation
from wancore.transformer.stream import Stream

Want = Literal["kv", "input"]


@dataclass(frozen=True)
class Recorded:
    """Of one block: rotated keys and values [n, H, d], or the modulated input [n, D]."""

    k: Tensor | None = None
    v: Tensor | None = None
    n: Tensor | None = None


@dataclass(frozen=True)
class LowRank:
    """`up @ down` added to a linear's weight: down [r, in], up [out, r]."""

    down: Tensor
    up: Tensor


def record(
    model: WanTransformer,
    segment: Segment,
    canvas: Canvas,
    want: Want,
    keys: Sequence[TextKeys] = (),
    low_rank: Mapping[str, LowRank] | None = None,
    frequencies: Frequencies | None = None,
) -> list[Recorded]:
    """One entry per block, of a run over `segment` alone at its own timestep (0 unless it says).

    `canvas`: the grid that the segment's positions refer to. `keys`: text that the segment reads,
    if it takes part in text attention. `low_rank`: by module name (`blocks.0.self_attn.q`), active
    in this run only. `frequencies`: those of the layout that will read the recording, where they
    are not the model's own (a stretched or slowed rotation).
    """
    rotation = Rotation.of(segment.rope(canvas, frequencies or model.frequencies), model.device)
    rows = len(segment.tokens)
    text_rows = rows if segment.text and keys else 0
    stream = Stream(Levels(), rotation, rows, text_rows, None, model.attend)
    _, e0 = model.embed_time(torch.tensor([segment.t or 0.0], device=model.device))
    taps = [Keep(want) for _ in model.blocks]
    parts = [(Part(tap.pieces()),) for tap in taps]
    with low_rank_added(model, low_rank or {}):
        model(segment.tokens.to(model.dtype), e0, stream, keys, parts)
    return [tap.kept for tap in taps]


class Keep(nn.Module):
    """Keeps what passes by a point of one block."""

    def __init__(self, want: Want) -> None:
        super().__init__()
        self.want = want
        self.kept = Recorded()

    def pieces(self) -> Pieces:
        return Pieces(observe=KeepKeys(self)) if self.want == "kv" else Pieces(tap=KeepInput(self))


class KeepKeys(nn.Module):
    def __init__(self, into: Keep) -> None:
        super().__init__()
        self._into = [into]  # in a list: the owner is not a submodule

    def forward(self, q: Tensor, k: Tensor, v: Tensor, data: Any) -> None:
        self._into[0].kept = Recorded(
            k=k.contiguous(), v=v.contiguous()
        )  # not the products they are slices of


class KeepInput(nn.Module):
    def __init__(self, into: Keep) -> None:
        super().__init__()
        self._into = [into]

    def forward(self, n: Tensor, data: Any) -> None:
        self._into[0].kept = Recorded(n=n)


@contextmanager
def low_rank_added(model: WanTransformer, low_rank: Mapping[str, LowRank]) -> Iterator[None]:
    """While in use, the named linears compute `x W^T + b + x down^T up^T`."""

    def hook(weights: LowRank) -> Any:
        def add(module: nn.Module, args: tuple[Tensor | Codes, ...], out: Tensor) -> Tensor:
            x = plain_rows(args[0])
            return out + (x @ weights.down.to(x).mT) @ weights.up.to(x).mT

        return add

    handles = [model.get_submodule(name).register_forward_hook(hook(w)) for name, w in low_rank.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
