"""Audio attention in a block: each latent frame's rows read the audio tokens of their frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wancore.kernels.attention import grouped
from wancore.transformer.norms import LayerNorm
from wancore.transformer.rows import Rows
from wancore_talking.speakers import query_positions, turned


@dataclass(frozen=True)
class Heard:
    """What one block reads in one window.

    `clip`: rows (start, stop) of the clip; `frame_rows`: of one latent frame. `k`, `v` [T, M, H, d]: of
    each latent frame's M audio tokens. `masks` [3, frame_rows]: where speaker 1, speaker 2 and the
    background are in the first frame; None with one speaker.
    """

    clip: tuple[int, int]
    frame_rows: int
    k: Tensor
    v: Tensor
    masks: Tensor | None
    strength: float = 1.0


class AudioAttention(nn.Module):
    """Parameter names are those of the checkpoints; queries and keys are not normed."""

    def __init__(self, dim: int, audio_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear = nn.Linear(dim, dim)
        self.kv_linear = nn.Linear(audio_dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Audio tokens [T, M, audio_dim] -> k, v [T, M, H, d]."""
        k, v = rearrange(self.kv_linear(tokens), "t m (two h d) -> two t m h d", two=2, h=self.heads)
        return k, v


class AudioBlock(nn.Module):
    """The adapter's part of one block."""

    def __init__(self, dim: int, audio_dim: int, heads: int) -> None:
        super().__init__()
        self.norm_x = LayerNorm(dim, 1e-6)
        self.audio_cross_attn = AudioAttention(dim, audio_dim, heads)


class Listen(nn.Module):
    """After text attention: what the clip's rows hear, as a residual."""

    def __init__(self, block: AudioBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, data: Heard, positions: Tensor | None) -> Rows:
        """x [S, D]; `positions` [clip rows]: of the queries, with two speakers."""
        start, stop = data.clip
        attention = self.block.audio_cross_attn
        q = attention.q_linear(self.block.norm_x(x[start:stop]))
        q = rearrange(q, "s (h d) -> s h d", h=attention.heads)
        if positions is not None:
            q = turned(q, positions)
        heard = grouped(q.unflatten(0, (len(data.k), -1)), data.k, data.v)
        out = attention.proj(rearrange(heard, "t s h d -> (t s) (h d)"))
        return Rows(out, start, None if data.strength == 1 else data.strength)


class Watch(nn.Module):
    """At self-attention: whom each row of the clip looks at in the first latent frame."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, data: Heard) -> Tensor | None:
        """q, k [S, H, d], normed and rotated -> positions of the queries [clip rows]; None: one speaker.

        The share of attention that falls on a class is attention with its mask as values, so the map of
        rows by reference rows is never made.
        """
        if data.masks is None:
            return None
        start, stop = data.clip
        reference = k[start : start + data.frame_rows]
        values = F.pad(data.masks.T, (0, q.shape[-1] - len(data.masks))).to(q)  # [reference rows, d]
        values = values[:, None].expand_as(reference)
        seen = grouped(q[None, start:stop], reference[None], values[None])[0, :, :, : len(data.masks)]
        means = seen.float().mean(1) / data.masks.sum(1).clamp(min=1)
        return query_positions(means)
