"""An adapter that acts at the points it is given, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from wancore.transformer.adapter import Adapter, Chain, Pieces, Values
from wancore.transformer.context import Context
from wancore.transformer.rows import Rows


class Call(nn.Module):
    """A function as a piece."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


class Single(Adapter):
    """`points(i)`: the functions of block i, by point; the others are what the methods answer."""

    def __init__(
        self,
        points: Callable[[int], dict[str, Callable[..., Any]]] = lambda i: {},
        values: Callable[[Context], Sequence[Values] | None] = lambda context: None,
        hint: Callable[[int, Tensor], Rows | None] | None = None,
        embed: Callable[[Tensor, Any], Tensor] | None = None,
        tokens: Rows | None = None,
        time: Tensor | None = None,
        frame_levels: bool = False,
    ) -> None:
        super().__init__()
        self.points, self.given = points, values
        self.hints, self.embedding, self.added, self.times = hint, embed, tokens, time
        self.frame_levels = frame_levels

    def pieces(self, i: int) -> Pieces:
        return Pieces(**{name: Call(function) for name, function in self.points(i).items()})

    def values(self, context: Context) -> Sequence[Values] | None:
        return self.given(context)

    def chain(self, context: Context, values: Sequence[Values] | None) -> Chain | None:
        return Hinting(self.hints) if self.hints is not None else None

    def embed(self, latents: Tensor, data: Any) -> Tensor | None:
        return self.embedding(latents, data) if self.embedding is not None else None

    def tokens(self, data: Any) -> Rows | None:
        return self.added

    def time(self, data: Any) -> Tensor | None:
        return self.times


class Hinting:
    def __init__(self, hint: Callable[[int, Tensor], Rows | None]) -> None:
        self.hint = hint
