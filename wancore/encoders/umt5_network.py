"""The network of the UMT5 encoder: token ids in, hidden states out.

Paper: UniMax / umT5 (arXiv 2304.09151), on T5 (arXiv 1910.10683). Its modules are named as in Wan's own
files. It is not taken from `transformers`, because every request needs it and that import takes several
seconds of each process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wancore.kernels.rotary import rms_norm


@dataclass(frozen=True)
class Umt5Config:
    """Sizes; offsets beyond `max_distance` tokens share the last bucket."""

    vocabulary: int
    width: int
    heads: int
    inner: int
    hidden: int
    layers: int
    buckets: int = 32
    max_distance: int = 128
    eps: float = 1e-6


class Norm(nn.Module):
    """RMSNorm, statistics in float32 (arXiv 1910.07467)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


class Attention(nn.Module):
    """Self-attention whose scores are not divided by the root of the head's width."""

    def __init__(self, config: Umt5Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.q, self.k, self.v = (nn.Linear(config.width, config.inner, bias=False) for _ in range(3))
        self.o = nn.Linear(config.inner, config.width, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [B, L, width], bias [B, heads, L, L] added to the scores -> [B, L, width]."""
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
        out: Tensor = self.o(mixed.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """fc2(GELU(gate(x)) * fc1(x)), GELU by tanh."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate, self.fc1 = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.fc2 = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.gate(x), approximate="tanh") * self.fc1(x))
        return out


class Layer(nn.Module):
    """Attention with a position bias of its own, then feed-forward; each behind a norm, with a residual."""

    def __init__(self, config: Umt5Config) -> None:
        super().__init__()
        self.norm1, self.norm2 = Norm(config.width, config.eps), Norm(config.width, config.eps)
        self.attn = Attention(config)
        self.ffn = FeedForward(config.width, config.hidden)
        self.pos_embedding = table(config.buckets, config.heads)

    def forward(self, x: Tensor, buckets: Tensor, padding: Tensor) -> Tensor:
        """x [B, L, width], buckets [L, L], padding [B, 1, 1, L]: the lowest number there, else 0."""
        bias = self.pos_embedding(buckets).permute(2, 0, 1) + padding
        x = finite(x + self.attn(self.norm1(x), bias))
        return finite(x + self.ffn(self.norm2(x)))


class Umt5(nn.Module):
    """The encoder stack."""

    def __init__(self, config: Umt5Config) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = table(config.vocabulary, config.width)
        self.blocks = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = Norm(config.width, config.eps)

    @property
    def width(self) -> int:
        return self.config.width

    @property
    def vocabulary(self) -> int:
        return self.config.vocabulary

    @property
    def device(self) -> torch.device:
        return self.token_embedding.weight.device

    @torch.no_grad()
    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids, mask [B, L] (1 on real tokens) -> [B, L, width]; rows of padding hold nothing of use."""
        x = self.token_embedding(ids.long())
        buckets = position_buckets(ids.shape[1], self.config.buckets, self.config.max_distance).to(x.device)
        padding = torch.zeros(mask.shape, dtype=x.dtype, device=x.device)
        padding = padding.masked_fill(~mask.bool(), torch.finfo(x.dtype).min)[:, None, None]
        for block in self.blocks:
            x = block(x, buckets, padding)
        normed: Tensor = self.norm(x)
        return normed


def table(rows: int, width: int) -> nn.Embedding:
    """Not drawn: on the meta device, drawing normal numbers imports torch's compiler, which takes seconds."""
    return nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False)


def position_buckets(length: int, buckets: int, max_distance: int) -> Tensor:
    """The row of the position bias for query i and key j, [length, length].

    Half of the `buckets` are for keys after the query. Of each half, one half are single offsets, the other
    grows with the logarithm up to `max_distance`; what is farther has the last.
    """
    offsets = torch.arange(length) - torch.arange(length)[:, None]
    side = buckets // 2
    single = side // 2
    far = torch.log(offsets.abs().float() / single) / math.log(max_distance / single) * (side - single)
    far = (single + far.clamp(0, side).long()).clamp(max=side - 1)
    return torch.where(offsets.abs() < single, offsets.abs(), far) + side * (offsets > 0)


def finite(x: Tensor) -> Tensor:
    """float16 overflows in this network; other types do not."""
    largest = torch.finfo(x.dtype).max
    return x.clamp(-largest, largest) if x.dtype == torch.float16 else x
