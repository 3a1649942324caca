"""The Wan transformer written a second time, straight down and in float64, to compare against.

It shares no code with the product: every row has its own modulation, who attends to whom is one
dense mask, and each named place of a block can be edited by the test that needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Edit = Callable[[int, Tensor], Tensor]  # (block number, value) -> the value to go on with


@dataclass(frozen=True)
class Sequence:
    """Tokens [S, D]; t [S]; positions' factors [S, d/2]; which rows read text; who sees whom [S, S]."""

    tokens: Tensor
    t: Tensor
    factors: Tensor
    reads: Tensor
    mask: Tensor | None = None


@dataclass
class Textbook:
    """`edits`: by place, one of those named in `block`."""

    weights: Mapping[str, Tensor]
    heads: int
    freq_dim: int
    eps: float = 1e-6
    edits: Mapping[str, Edit] = field(default_factory=dict)

    @classmethod
    def of(cls, model: nn.Module, edits: Mapping[str, Edit] | None = None) -> Textbook:
        weights = {k: v.detach().double() for k, v in model.state_dict().items()}
        return cls(weights, model.config.num_heads, model.config.freq_dim, edits=edits or {})

    def edit(self, place: str, i: int, value: Tensor) -> Tensor:
        return self.edits[place](i, value) if place in self.edits else value

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def rms(self, name: str, x: Tensor) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + self.eps).sqrt() * self.weights[f"{name}.weight"]

    def norm(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.pow(2).mean(-1, keepdim=True) + self.eps).sqrt()

    def split(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.heads, -1)

    def embed(self, latents: Tensor) -> Tensor:
        patches = self.weights["patch_embedding.weight"]
        x = F.conv3d(latents.double()[None], patches, self.weights["patch_embedding.bias"], (1, 2, 2))
        return x[0].flatten(1).T

    def embed_text(self, text: Tensor, length: int) -> Tensor:
        x = torch.cat((text.double(), torch.zeros(length - len(text), text.shape[1], dtype=torch.float64)))
        x = F.gelu(self.linear("text_embedding.0", x), approximate="tanh")
        return self.linear("text_embedding.2", x)

    def embed_time(self, t: Tensor) -> tuple[Tensor, Tensor]:
        half = self.freq_dim // 2
        speeds = torch.tensor([10000 ** (-i / half) for i in range(half)], dtype=torch.float64)
        angles = t.double()[:, None] * speeds
        hidden = F.silu(self.linear("time_embedding.0", torch.cat((angles.cos(), angles.sin()), 1)))
        e = self.linear("time_embedding.2", hidden)
        return e, self.linear("time_projection.1", F.silu(e)).reshape(len(t), 6, -1)

    def block(self, i: int, x: Tensor, e0: Tensor, s: Sequence, text: Tensor, image: Tensor | None) -> Tensor:
        b, d = f"blocks.{i}", x.shape[1] // self.heads
        m = self.weights[f"{b}.modulation"] + e0
        shift = self.edit("shift", i, m[:, 0])
        n = self.edit("input", i, self.norm(x) * (1 + m[:, 1]) + shift)
        plain_q = self.edit(
            "plain_q", i, self.split(self.rms(f"{b}.self_attn.norm_q", self.linear(f"{b}.self_attn.q", n)))
        )
        k = self.split(self.rms(f"{b}.self_attn.norm_k", self.linear(f"{b}.self_attn.k", n)))
        q = self.edit("q", i, rotate(plain_q, s.factors))
        k = self.edit("k", i, rotate(k, s.factors))
        v = self.edit("v", i, self.split(self.linear(f"{b}.self_attn.v", n)))
        heads = self.edit("heads", i, attention(q, k, v, s.mask))
        out = self.edit("projected", i, self.linear(f"{b}.self_attn.o", heads.reshape(len(x), -1)))
        x = self.edit("x_self", i, x + out * m[:, 2])
        y = self.norm(x) * self.weights[f"{b}.norm3.weight"] + self.weights[f"{b}.norm3.bias"]
        q = self.edit(
            "text_q", i, self.split(self.rms(f"{b}.cross_attn.norm_q", self.linear(f"{b}.cross_attn.q", y)))
        )
        k = self.split(self.rms(f"{b}.cross_attn.norm_k", self.linear(f"{b}.cross_attn.k", text)))
        v = self.split(self.linear(f"{b}.cross_attn.v", text))
        heads = self.edit("text_set", i, attention(q, k, v))
        if image is not None:
            k = self.split(
                self.rms(f"{b}.cross_attn.norm_k_img", self.linear(f"{b}.cross_attn.k_img", image))
            )
            heads = heads + attention(q, k, self.split(self.linear(f"{b}.cross_attn.v_img", image)))
        heads = self.edit("text_heads", i, heads)
        out = self.linear(f"{b}.cross_attn.o", heads.reshape(len(x), self.heads * d))
        x = self.edit("x_text", i, torch.where(s.reads[:, None], x + out, x))
        n = self.norm(x) * (1 + m[:, 4]) + m[:, 3]
        hidden = F.gelu(self.linear(f"{b}.ffn.0", n), approximate="tanh")
        return self.edit("x", i, x + self.linear(f"{b}.ffn.2", hidden) * m[:, 5])

    def run(
        self,
        s: Sequence,
        text: Tensor,
        image: Tensor | None = None,
        layers: int = 2,
        time_add: Tensor | None = None,
        skip: tuple[int, ...] = (),
    ) -> Tensor:
        """Every row after the last block, [S, D]."""
        _, e0 = self.embed_time(s.t)
        x = s.tokens
        for i in range(layers):
            if i not in skip:
                x = self.block(i, x, e0 if time_add is None else e0 + time_add, s, text, image)
        return x

    def velocity(self, x: Tensor, t: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Canvas rows and their timesteps -> [C, F, h, w]."""
        e, _ = self.embed_time(t)
        m = self.weights["head.modulation"] + e[:, None]
        patches = self.linear("head.head", self.norm(x) * (1 + m[:, 1]) + m[:, 0])
        frames, height, width = grid
        return (
            patches.reshape(frames, height, width, 2, 2, -1)
            .permute(5, 0, 1, 3, 2, 4)
            .reshape(-1, frames, 2 * height, 2 * width)
        )


def rotate(x: Tensor, factors: Tensor) -> Tensor:
    """x [S, H, d] as complex pairs times factors [S, d/2]."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:2], -1, 2).contiguous())
    return torch.view_as_real(pairs * factors[:, None]).flatten(-2)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention [S, H, d]; `mask` [S, M]: True where a key is seen."""
    scores = torch.einsum("shd,mhd->hsm", q, k) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return torch.einsum("hsm,mhd->shd", scores.softmax(-1), v)


def rope_factors(positions: Tensor, head_dim: int) -> Tensor:
    """[n, 3] -> complex [n, d/2], pair by pair: time, then row, then column."""
    side = 2 * (head_dim // 6)
    angles = []
    for axis, size in enumerate((head_dim - 2 * side, side, side)):
        angles += [positions[:, axis].double() * 10000 ** (-2 * j / size) for j in range(size // 2)]
    angle = torch.stack(angles, dim=1)
    return torch.complex(angle.cos(), angle.sin())


def grid(frames: int, height: int, width: int, start: tuple[float, ...] = (0, 0, 0)) -> Tensor:
    """Positions [n, 3] of a grid in frame, row, column order."""
    return torch.tensor(
        [
            [f + start[0], r + start[1], c + start[2]]
            for f in range(frames)
            for r in range(height)
            for c in range(width)
        ],
        dtype=torch.float64,
    )
