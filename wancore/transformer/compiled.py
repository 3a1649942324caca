"""The blocks through torch.compile, one region for all of them."""

from __future__ import annotations

from typing import Any

import torch

from wancore.transformer.model import WanTransformer

#: Blocks differ in what waits in their stream and in the adapters on them: so many kinds may be compiled.
KINDS = 32


def compile_blocks(model: WanTransformer, **options: Any) -> None:
    """Compiles what a block does, not the call around it: weights are brought in before, and hooks of
    adapters stay. All blocks share what is compiled, one version for each kind of block and shape.

    `options`: of `torch.compile`.
    """
    torch._dynamo.config.recompile_limit = max(KINDS, torch._dynamo.config.recompile_limit)
    for block in model.layers:
        block.__dict__["advance"] = torch.compile(block.advance, dynamic=False, **options)
