"""VACE: copies of some blocks read a context and hint at the base blocks they were copied from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from wancore.transformer.adapter import Adapter, Chain, Values
from wancore.transformer.block import Block
from wancore.transformer.config import TransformerConfig
from wancore.transformer.context import Context
from wancore.transformer.keys import TextKeys
from wancore.transformer.rows import Rows


class VaceBlock(Block):
    def __init__(self, config: TransformerConfig, first: bool) -> None:
        super().__init__(config)
        self.before_proj = nn.Linear(config.dim, config.dim) if first else None
        self.after_proj = nn.Linear(config.dim, config.dim)


class Vace(Adapter):
    """Data: [(context [96, F, h, w], strength), ...]; `layers`: the base block of each VACE block."""

    lifetime = "window"
    depends = frozenset({"text"})

    def __init__(self, config: TransformerConfig, channels: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.vace_patch_embedding = nn.Conv3d(channels, config.dim, config.patch_size, config.patch_size)
        self.vace_blocks = nn.ModuleList(VaceBlock(config, n == 0) for n in range(len(layers)))

    def values(self, context: Context) -> Sequence[Values]:
        """At each hinted block the text keys of its VACE block."""
        keys = {i: b.text_keys(context.text) for i, b in zip(self.layers, self.vace_blocks, strict=True)}
        return [Values(data=keys.get(i)) for i in range(context.model.config.num_layers)]

    def chain(self, context: Context, values: Sequence[Values] | None) -> Chain:
        assert values is not None
        keys = [values[i].data for i in self.layers]
        tokens = [
            rearrange(self.vace_patch_embedding(c[None]), "1 d f h w -> (f h w) d") for c, _ in context.data
        ]
        strengths = [strength for _, strength in context.data]
        return VaceChain(self, context, keys, tokens, strengths)


@dataclass
class VaceChain:
    adapter: Vace
    context: Context
    keys: Sequence[TextKeys]
    states: list[Tensor]
    strengths: Sequence[float]
    done: int = field(default=0)

    def hint(self, i: int, x: Tensor) -> Rows | None:
        if i not in self.adapter.layers:
            return None
        n = self.adapter.layers.index(i)
        while self.done <= n:  # a skipped base block leaves its own hint out, not those that follow
            self.states = [self.advanced(self.done, c) for c in self.states]
            self.done += 1
        after: Any = self.adapter.vace_blocks[n].after_proj
        hints = [after(c) * s for c, s in zip(self.states, self.strengths, strict=True)]
        return Rows(torch.stack(hints).sum(0))

    def advanced(self, n: int, c: Tensor) -> Tensor:
        block: Any = self.adapter.vace_blocks[n]
        if block.before_proj is not None:
            c = block.before_proj(c) + self.context.x
        return block(c, self.context.e0, self.context.stream.canvas_only(), self.keys[n])
