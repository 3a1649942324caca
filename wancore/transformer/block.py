"""One Wan transformer block, with the points at which adapters act as calls in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wancore.kernels.codes import plain_rows
from wancore.kernels.junction import Modulated
from wancore.transformer.adapter import Part
from wancore.transformer.attention import SelfAttention, TextAttention
from wancore.transformer.config import TransformerConfig
from wancore.transformer.keys import TextKeys
from wancore.transformer.linears import feed_forward, form_for
from wancore.transformer.norms import LayerNorm
from wancore.transformer.residual import Residual
from wancore.transformer.rows import Rows
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
        return self.advance(Residual(x, stream.levels), e0, stream, keys, parts, hints).value()

    def advance(
        self,
        x: Residual,
        e0: Tensor,
        stream: Stream,
        keys: TextKeys | None = None,
        parts: Sequence[Part] = (),
        hints: Sequence[Rows] = (),
    ) -> Residual:
        """As `forward`, of a stream with updates that still wait; its own last wait for the next block."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (self.modulation.float() + e0).unbind(1)
        for part in parts:
            if part.values.shift is not None:
                shift = shift + part.values.shift
        taps = [p for p in parts if p.pieces.tap is not None]
        x, n = x.normed(Modulated(shift, scale), self.eps, self.self_attn.form(plain=bool(taps)))
        for part in taps:
            part.pieces.tap(plain_rows(n), part.values.data)  # type: ignore[misc]
        attended, seen = self.self_attn(n, stream, parts)
        x = x.plus(attended, gate)
        del n, attended  # a tensor of all rows each; the stream keeps what it needs
        if self.cross_attn is not None and self.norm3 is not None and keys is not None and stream.text_rows:
            x, n = x.normed(self.norm3.affine, self.norm3.eps, form_for(self.cross_attn.q))
            x = x.plus(self.cross_attn(n[: stream.text_rows], keys, stream.attend, parts))
        x = after(x, [(p.pieces.after_cross, (p.values.data, s)) for p, s in zip(parts, seen, strict=True)])
        x, n = x.normed(Modulated(ffn_shift, ffn_scale), self.eps, form_for(self.ffn[0]))
        x = x.plus(feed_forward(n, self.ffn[0], self.ffn[2]), ffn_gate).plus_rows(hints)
        return after(x, [(p.pieces.after_block, (p.values.data,)) for p in parts])

    def text_keys(self, text: Tensor, image: Tensor | None = None) -> TextKeys:
        """What this block's text attention reads of embedded text [L, D] and image tokens [L', D]."""
        if self.cross_attn is None:
            return TextKeys(())
        images = (self.cross_attn.image_set(image),) if image is not None else ()
        return TextKeys((self.cross_attn.text_set(text),), images)


def after(x: Residual, pieces: Sequence[tuple[nn.Module | None, tuple[Any, ...]]]) -> Residual:
    """Residuals of adapters, which all read the same sum: (module, what it reads beside the stream)."""
    acting = [(module, data) for module, data in pieces if module is not None]
    if not acting:
        return x
    x = x.settled()
    return x.plus_rows([module(x.x, *data) for module, data in acting])
