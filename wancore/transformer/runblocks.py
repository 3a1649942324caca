"""Running the blocks of a prediction, with room for a step cache to answer in their place."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

#: `run(blocks, x, e, e0)`: canvas tokens x [n, D] through `blocks`; e [K, D], e0 [K, 6, D].
RunBlocks = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor], Tensor]


def run_blocks(blocks: Callable[[Tensor], Tensor], x: Tensor, e: Tensor, e0: Tensor) -> Tensor:
    """No cache: every block runs."""
    return blocks(x)
