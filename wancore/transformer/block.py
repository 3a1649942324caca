"""One Wan transformer block, with the points at which adapters act as calls in their order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wancore.transformer.adapter import Part
from wancore.transformer.attention import SelfAttention, TextAttention
from wancore.transformer.config import TransformerConfig
from wancore.transformer.keys import TextKeys
from wancore.transformer.norms import LayerNorm, gated, modulated_norm
from wancore.transformer.rows import Rows, add_rows
from wancore.transformer.stream import Stream


class Block(nn.Module):
    """x + gate * SelfAttn(mod(x)); x + TextAttn(norm(x)); x + gate * FFN(mod(x)).

    Parameter names are those of upstream checkpoints. A model without text attention
    (`text=False`) has neither `norm3` nor `cross_attn`.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim, eps = config.dim, config.eps
        self.eps = eps
        self.modulation = nn.Parameter(torch.zeros(1, 6, dim))
        self.self_attn = SelfAttention(dim, config.num_heads, eps)
        self.norm3 = LayerNorm(dim, eps) if config.text_dim else None
        self.cross_attn = (
            TextAttention(dim, config.num_heads, eps, config.image_dim is not None)
            if config.text_dim
            else None
        )
        self.ffn = nn.Sequential(
            nn.Linear(dim, config.ffn_dim), nn.GELU(approximate="tanh"), nn.Linear(config.ffn_dim, dim)
        )

    def forward(
        self,
        x: Tensor,
        e0: Tensor,
        stream: Stream,
        keys: TextKeys | None = None,
        parts: Sequence[Part] = (),
        hints: Sequence[Rows] = (),
    ) -> Tensor:
        """x [S, D], e0 [K, 6, D] float32 (projected time embedding of each level) -> [S, D]."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (self.modulation.float() + e0).unbind(1)
        for part in parts:
            if part.values.shift is not None:
                shift = shift + part.values.shift
        n = modulated_norm(x, shift, scale, stream.levels, self.eps)
        for part in parts:
            if part.pieces.tap is not None:
                part.pieces.tap(n, part.values.data)
        attended, seen = self.self_attn(n, stream, parts)
        x = gated(x, attended, gate, stream.levels)
        x = self.read_text(x, stream, keys, parts)
        x = add_rows(
            x,
            [
                p.pieces.after_cross(x, p.values.data, observed)
                for p, observed in zip(parts, seen, strict=True)
                if p.pieces.after_cross
            ],
        )
        n = modulated_norm(x, ffn_shift, ffn_scale, stream.levels, self.eps)
        x = gated(x, self.ffn(n), ffn_gate, stream.levels)
        x = add_rows(x, hints)
        return add_rows(x, [p.pieces.after_block(x, p.values.data) for p in parts if p.pieces.after_block])

    def text_keys(self, text: Tensor, image: Tensor | None = None) -> TextKeys:
        """What this block's text attention reads of embedded text [L, D] and image tokens [L', D]."""
        if self.cross_attn is None:
            return TextKeys(())
        images = (self.cross_attn.image_set(image),) if image is not None else ()
        return TextKeys((self.cross_attn.text_set(text),), images)

    def read_text(self, x: Tensor, stream: Stream, keys: TextKeys | None, parts: Sequence[Part]) -> Tensor:
        if self.cross_attn is None or self.norm3 is None or keys is None or stream.text_rows == 0:
            return x
        reading = x[: stream.text_rows]
        return add_rows(x, [Rows(self.cross_attn(self.norm3(reading), keys, stream.attend, parts))])
