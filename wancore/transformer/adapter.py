"""What an adapter puts into the blocks: modules (pieces) and a request's tensors (values).

Pieces hold no request data and values no code, so one compiled block serves all blocks, and a
block swapped to host memory takes its pieces along.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from torch import Tensor, nn

from wancore.transformer.keys import KeySet
from wancore.transformer.plan import Memory
from wancore.transformer.rows import Rows

if TYPE_CHECKING:
    from wancore.transformer.context import Context

Lifetime = Literal["request", "expert", "window", "step", "pass"]


@dataclass(frozen=True)
class Pieces:
    """The modules of one adapter in one block, by the point at which each acts.

    `data` is the adapter's own `Values.data`; `seen` what its `observe` returned in this block.
    S rows in all, m text rows, H heads of width d.

    - `tap(n [S, D], data)`: reads the modulated input of self-attention; recording only.
    - `observe(q, k, v [S, H, d], data) -> seen`: reads queries and keys after norm and rotation, and values.
    - `branch(q [S, H, d], data) -> Rows`: attention of its own on normed, unrotated queries,
      added before the output projection.
    - `attn_out(a [S, D], data, seen) -> [S, D]`: replaces the projected self-attention; one owner.
    - `text_set(q [m, H, d], text sets, attend, data) -> [m, H, d]`: replaces text attention; one owner.
    - `after_cross(x [S, D], data, seen) -> Rows`: residual, sees x after text attention.
    - `after_block(x [S, D], data) -> Rows`: residual, sees x with every hint added.
    """

    tap: nn.Module | None = None
    observe: nn.Module | None = None
    branch: nn.Module | None = None
    attn_out: nn.Module | None = None
    text_set: nn.Module | None = None
    after_cross: nn.Module | None = None
    after_block: nn.Module | None = None


@dataclass(frozen=True)
class Values:
    """The tensors of one adapter for one block.

    - `shift` [K, D]: added to the self-attention shift of each level.
    - `memory`: keys and values that canvas rows attend to beside their own.
    - `kv`: further sets for text attention.
    - `data`: whatever the adapter's pieces read; tensors, in any nesting of tuples and dataclasses.
    """

    shift: Tensor | None = None
    memory: Memory | None = None
    kv: tuple[KeySet, ...] = ()
    data: Any = None


NO_PIECES = Pieces()
NO_VALUES = Values()


@dataclass(frozen=True)
class Part:
    """One adapter in one block, bound for one prediction."""

    pieces: Pieces = NO_PIECES
    values: Values = NO_VALUES


class Chain(Protocol):
    """A side network advanced in step with the blocks, for one prediction."""

    def hint(self, i: int, x: Tensor) -> Rows | None:
        """Asked just before block `i`, whose input is `x` [S, D]; added to that block's output.

        Not asked for a skipped block: a chain that has a step there makes it when next asked.
        """
        ...


class Adapter(nn.Module):
    """Weights beside the base model. Subclasses override what they use.

    `lifetime`: how long `values` stays valid; `depends`: slots whose variant changes it
    ("latents" and "t" are implied by the lifetimes "step" and "pass"). Values never outlive the `data`
    object and the canvas that they were worked out for.
    `frame_levels`: the adapter's shift differs from clip frame to clip frame; its values then belong
    to the levels of one layout.
    `dense`: names of its linears that every row of the video passes; they are in fp8 where the base's are.
    """

    dense: re.Pattern[str] | None = None
    lifetime: Lifetime = "window"
    depends: frozenset[str] = frozenset()
    frame_levels: bool = False

    def pieces(self, i: int) -> Pieces:
        """The modules of block `i`; asked once, when the adapter is attached."""
        return NO_PIECES

    def values(self, context: Context) -> Sequence[Values] | None:
        """One entry per block, or None where the adapter has no tensors to give."""
        return None

    def chain(self, context: Context, values: Sequence[Values] | None) -> Chain | None:
        """The hint chain of one prediction, or None."""
        return None

    def embed(self, latents: Tensor, data: Any) -> Tensor | None:
        """Canvas tokens [n, D] in place of the patch embedding's; one owner."""
        return None

    def tokens(self, data: Any) -> Rows | None:
        """Constant tokens added after the patch embedding."""
        return None

    def time(self, data: Any) -> Tensor | None:
        """[6, D], added to the projected time embedding of every level."""
        return None
