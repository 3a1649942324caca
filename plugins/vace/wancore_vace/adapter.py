"""VACE's network: copies of some blocks read a context and hint at the blocks they were copied from.

Source: ali-vilab/VACE `vace/models/wan/modules/model.py`; Wan-Video/Wan2.1 `wan/modules/vace_model.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn

from wancore.transformer.adapter import Adapter, Chain, Values
from wancore.transformer.block import Block
from wancore.transformer.config import TransformerConfig
from wancore.transformer.context import Context
from wancore.transformer.keys import TextKeys
from wancore.transformer.rows import Rows
from wancore_vace.strength import ALWAYS, Strength


@dataclass(frozen=True)
class Guide:
    """One context [96, n, h, w] and how strongly it acts."""

    latents: Tensor
    strength: Strength = ALWAYS


@dataclass(frozen=True)
class Guides:
    """What VACE reads in one window: contexts over the clip and its own `head` frames in front."""

    contexts: tuple[Guide, ...]
    head: int = 0


@dataclass(frozen=True)
class Reading:
    """What one VACE block reads, as long as text and window stay: its text; the first also all tokens."""

    keys: TextKeys
    tokens: tuple[Tensor, ...] = ()


class VaceBlock(Block):
    """A transformer block with a way out, `after_proj`; the first also has a way in, `before_proj`."""

    def __init__(self, config: TransformerConfig, first: bool) -> None:
        super().__init__(config)
        self.before_proj = nn.Linear(config.dim, config.dim) if first else None
        self.after_proj = nn.Linear(config.dim, config.dim)


class Vace(Adapter):
    """Reads `Guides`. `layers`: the base block that each VACE block hints at, in order."""

    dense = re.compile(
        r"vace_blocks\.\d+\.(self_attn\.[qkvo]|cross_attn\.[qo]|ffn\.[02]|(before|after)_proj)"
    )
    lifetime = "window"
    depends = frozenset({"text"})

    def __init__(self, config: TransformerConfig, channels: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.vace_patch_embedding = nn.Conv3d(channels, config.dim, config.patch_size, config.patch_size)
        self.vace_blocks = nn.ModuleList(VaceBlock(config, n == 0) for n in range(len(layers)))

    @property
    def hinting(self) -> list[VaceBlock]:
        return cast(list[VaceBlock], list(self.vace_blocks))

    def values(self, context: Context) -> Sequence[Values] | None:
        if context.text is None:
            return None
        text = context.text
        read = {i: Reading(block.text_keys(text)) for i, block in zip(self.layers, self.hinting, strict=True)}
        first = self.layers[0]
        read[first] = Reading(
            read[first].keys, tuple(self.embed_context(context, g) for g in context.data.contexts)
        )
        return [Values(data=read.get(i)) for i in range(context.model.config.num_layers)]

    def embed_context(self, context: Context, guide: Guide) -> Tensor:
        """Context latents -> tokens of the whole canvas [rows, D], empty at other families' frames."""
        latents = guide.latents.to(context.x)
        own = rearrange(self.vace_patch_embedding(latents[None]), "1 d f h w -> (f h w) d")
        start, stop = covered_rows(context, len(own))
        tokens: Tensor = torch.nn.functional.pad(own, (0, 0, start, context.layout.canvas.rows - stop))
        return tokens

    def chain(self, context: Context, values: Sequence[Values] | None) -> Chain | None:
        """The hints of the contexts that act at this step; None when none does."""
        strengths = [guide.strength for guide in context.data.contexts]
        active = [i for i, strength in enumerate(strengths) if strength.at(context.step) != 0]
        if not active or values is None:
            return None
        read: list[Reading] = [values[i].data for i in self.layers]
        tokens = [read[0].tokens[i] for i in active]
        rows = covered_rows(context)
        return VaceChain(self, context, [r.keys for r in read], tokens, [strengths[i] for i in active], rows)


def covered_rows(context: Context, count: int | None = None) -> tuple[int, int]:
    """Canvas rows (start, stop) that VACE is about: its own head frames and the clip.

    Raises `ValueError` if they are not the `count` rows of the context.
    """
    canvas, head = context.layout.canvas, context.data.head
    start, stop = (canvas.head - head) * canvas.frame_rows, canvas.clip[1]
    if start < 0 or (count is not None and count != stop - start):
        raise ValueError(f"a context of {count} rows for rows {start}..{stop}")
    return start, stop


class VaceChain:
    """One prediction's hints; `tokens` [rows, D] and `strengths` of the contexts that act."""

    def __init__(
        self,
        adapter: Vace,
        context: Context,
        keys: Sequence[TextKeys],
        tokens: Sequence[Tensor],
        strengths: Sequence[Strength],
        rows: tuple[int, int],
    ) -> None:
        self.adapter, self.context, self.keys = adapter, context, keys
        self.states, self.strengths, self.rows = list(tokens), strengths, rows
        self.blocks = adapter.hinting
        self.place = {layer: n for n, layer in enumerate(adapter.layers)}
        self.done = 0

    def hint(self, i: int, x: Tensor) -> Rows | None:
        if i not in self.place:
            return None
        n = self.place[i]
        while self.done <= n:  # a skipped base block leaves out its own hint, not those that follow
            self.states = [self.advanced(self.done, c) for c in self.states]
            self.done += 1
        start, stop = self.rows
        hints = [
            self.blocks[n].after_proj(c[start:stop]) * (s.at(self.context.step) * s.of_layer(n))
            for c, s in zip(self.states, self.strengths, strict=True)
        ]
        return Rows(torch.stack(hints).sum(0) if len(hints) > 1 else hints[0], start)

    def advanced(self, n: int, c: Tensor) -> Tensor:
        """The state after VACE block n."""
        block = self.blocks[n]
        if block.before_proj is not None:
            c = block.before_proj(c) + self.context.x
        out: Tensor = block(c, self.context.e0, self.context.stream.canvas_only(), self.keys[n])
        return out
