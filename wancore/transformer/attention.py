"""Self-attention and text attention of a Wan block (arXiv:2503.20314; Wan-Video/Wan2.1 `model.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from wancore.errors import InvalidInput
from wancore.kernels.attention import Attend, for_role
from wancore.kernels.codes import Codes
from wancore.kernels.junction import Form
from wancore.kernels.rotary import norm_rotate
from wancore.transformer.adapter import Part
from wancore.transformer.keys import KeySet, TextKeys, read_all
from wancore.transformer.linears import apply, form_for, project
from wancore.transformer.norms import RMSNorm
from wancore.transformer.plan import self_attention
from wancore.transformer.rows import add_rows
from wancore.transformer.stream import Stream


class SelfAttention(nn.Module):
    """Queries and keys are normed over the whole width, then rotated head by head."""

    def __init__(self, dim: int, num_heads: int, eps: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(dim, eps)
        self.norm_k = RMSNorm(dim, eps)

    def heads(self, x: Tensor) -> Tensor:
        return rearrange(x, "s (h d) -> s h d", h=self.num_heads)

    def form(self, plain: bool = False) -> Form:
        """What it wants its input as; `plain`: others read the plain rows."""
        return form_for(self.q, self.k, self.v, plain=plain)

    def forward(
        self, n: Tensor | Codes, stream: Stream, parts: Sequence[Part] = ()
    ) -> tuple[Tensor, list[object]]:
        """n [S, D], the modulated input -> ([S, D], what each part observed)."""
        out, plain_q, seen = self.attend(n, stream, parts)
        branches = [p for p in parts if p.pieces.branch]
        out = add_rows(out, [p.pieces.branch(plain_q, p.values.data) for p in branches])  # type: ignore[misc]
        out = apply(self.o, out.flatten(1))
        for part, observed in zip(parts, seen, strict=True):
            if part.pieces.attn_out is not None:
                out = part.pieces.attn_out(out, part.values.data, observed)
        return out, seen

    def attend(
        self, n: Tensor | Codes, stream: Stream, parts: Sequence[Part]
    ) -> tuple[Tensor, Tensor | None, list[object]]:
        """-> (result [S, H, d], unrotated q [S, H, d] where a branch reads it, what was observed)."""
        plain = any(p.pieces.branch is not None for p in parts)
        q, k, v = project(n, (self.q, self.k, self.v))
        weights = self.norm_q.weight, self.norm_k.weight
        cos, sin = stream.rotation.cos, stream.rotation.sin
        q, k, plain_q = norm_rotate(q, k, weights, self.norm_q.eps, cos, sin, plain=plain)
        v = self.heads(v)
        seen = [p.pieces.observe(q, k, v, p.values.data) if p.pieces.observe else None for p in parts]
        memories = [p.values.memory for p in parts if p.values.memory is not None]
        out = self_attention(stream.attend, q, k, v, stream.plan, memories, stream.canvas_rows)
        return out, plain_q, seen


class TextAttention(nn.Module):
    """Attention to text, and to image tokens where the model has an image branch; no rotation, no mask."""

    def __init__(self, dim: int, num_heads: int, eps: float, image: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(dim, eps)
        self.norm_k = RMSNorm(dim, eps)
        if image:
            self.k_img = nn.Linear(dim, dim)
            self.v_img = nn.Linear(dim, dim)
            self.norm_k_img = RMSNorm(dim, eps)

    def heads(self, x: Tensor) -> Tensor:
        return rearrange(x, "s (h d) -> s h d", h=self.num_heads)

    def text_set(self, text: Tensor, rows: tuple[int, int] | None = None) -> KeySet:
        """Keys and values of embedded text [L, D], read by `rows` (None: all of them)."""
        return KeySet(self.heads(self.norm_k(self.k(text))), self.heads(self.v(text)), rows)

    def image_set(self, image: Tensor) -> KeySet:
        """Keys and values of embedded image tokens [L, D]."""
        return KeySet(self.heads(self.norm_k_img(self.k_img(image))), self.heads(self.v_img(image)))

    def forward(
        self, x: Tensor | Codes, keys: TextKeys, attend: Attend, parts: Sequence[Part] = ()
    ) -> Tensor:
        """x [m, D], the normed rows that take part -> [m, D]."""
        return apply(self.o, self.read(x, keys, attend, parts).flatten(1))

    def read(self, x: Tensor | Codes, keys: TextKeys, attend: Attend, parts: Sequence[Part]) -> Tensor:
        """-> [m, H, d], the sum over all sets of keys."""
        q = self.heads(self.norm_q(apply(self.q, x)))
        extra = [*keys.image, *(s for p in parts for s in p.values.kv)]
        owner = next((p for p in parts if p.pieces.text_set is not None), None)
        read_text, read_image = for_role(attend, "text"), for_role(attend, "image")
        if owner is None or owner.pieces.text_set is None:
            out = read_all(q, keys.text, read_text)
        else:
            out = owner.pieces.text_set(q, keys.text, read_text, owner.values.data)
        return add_rows(out, [s.read(q, read_image) for s in extra])


def zero_text_rows(x: Tensor, length: int) -> Tensor:
    """Text embeddings [n, C] padded with zero rows to `length`; the padding is attended to, unmasked."""
    if len(x) > length:
        raise InvalidInput("text", f"{len(x)} rows", f"at most {length} rows")
    return torch.cat((x, x.new_zeros(length - len(x), x.shape[1])))
