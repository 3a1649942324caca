"""InfiniteTalk: audio attention per latent frame; two speakers are told apart by where queries look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wancore.kernels.attention import grouped
from wancore.transformer.adapter import Adapter, Pieces, Values
from wancore.transformer.context import Context
from wancore.transformer.norms import LayerNorm
from wancore.transformer.rope import Rotation
from wancore.transformer.rows import Rows

STARTS, SPAN, BACKGROUND = (0.0, 20.0), 4.0, 12.0


@dataclass(frozen=True)
class Audio:
    """Windows of audio features [speakers, 1 + 4 (T - 1), 5, layers, channels]; where each class of
    speaker 1, speaker 2, background is seen in the reference frame, [3, h * w] tokens."""

    windows: Tensor
    masks: Tensor | None = None


@dataclass(frozen=True)
class Frames:
    """Rows of the clip and of its first frame; keys and values [T, tokens, H, d] per frame."""

    clip: tuple[int, int]
    frame_rows: int
    k: Tensor
    v: Tensor
    masks: Tensor | None


class AudioProjection(nn.Module):
    def __init__(self, features: int, hidden: int, tokens: int, dim: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.proj1 = nn.Linear(5 * features, hidden)
        self.proj1_vf = nn.Linear(8 * features, hidden)
        self.proj2 = nn.Linear(hidden, hidden)
        self.proj3 = nn.Linear(hidden, tokens * dim)
        self.norm = LayerNorm(dim, 1e-5)

    def forward(self, windows: Tensor) -> Tensor:
        """[speakers, F, 5, layers, channels] -> [T, speakers * tokens, dim]."""
        first, rest = windows[:, :1], windows[:, 1:].unflatten(1, (-1, 4))
        spread = torch.cat((rest[:, :, 0, :3], rest[:, :, 1:3, 2], rest[:, :, 3, 2:]), dim=2)
        hidden = torch.cat((self.proj1(first.flatten(2)), self.proj1_vf(spread.flatten(2))), dim=1)
        hidden = self.proj3(F.relu(self.proj2(F.relu(hidden))))
        return rearrange(self.norm(hidden.unflatten(-1, (self.tokens, -1))), "s t n c -> t (s n) c")


class AudioAttention(nn.Module):
    def __init__(self, dim: int, audio_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear = nn.Linear(dim, dim)
        self.kv_linear = nn.Linear(audio_dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)


class AudioBlock(nn.Module):
    def __init__(self, dim: int, audio_dim: int, heads: int) -> None:
        super().__init__()
        self.norm_x = LayerNorm(dim, 1e-6)
        self.audio_cross_attn = AudioAttention(dim, audio_dim, heads)


class Speak(nn.Module):
    """Residual of one block for clip rows."""

    def __init__(self, block: AudioBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, data: Frames, seen: Tensor | None) -> Rows:
        start, stop = data.clip
        attn = self.block.audio_cross_attn
        q = rearrange(attn.q_linear(self.block.norm_x(x[start:stop])), "s (h d) -> s h d", h=attn.heads)
        if seen is not None:
            q = turned(q, seen)
        out = grouped(q.unflatten(0, (len(data.k), -1)), data.k, data.v)
        return Rows(attn.proj(rearrange(out, "t s h d -> (t s) (h d)")), start)


class Watch(nn.Module):
    """Which speaker each clip row attends to in the first clip frame, as a position [rows]."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, data: Frames) -> Tensor | None:
        if data.masks is None:
            return None
        start, stop = data.clip
        values = (data.masks / data.masks.sum(1, keepdim=True).clamp(min=1)).T  # [reference rows, 3]
        values = F.pad(values, (0, q.shape[-1] - values.shape[1]))[:, None].expand(-1, q.shape[1], -1)
        reference = k[start : start + data.frame_rows]
        seen = grouped(q[None, start:stop].float(), reference[None].float(), values[None].float())
        means = seen[0].mean(1)[:, :3]  # [rows, 3]
        low, high = means.amin(0), means.amax(0)
        share = SPAN * (means - low) / (high - low + 1e-8)
        position = torch.stack((STARTS[0] + share[:, 0], STARTS[1] + share[:, 1]), dim=1)
        position = F.pad(position, (0, 1), value=BACKGROUND)
        return position.gather(1, means.argmax(1, keepdim=True))[:, 0]


class InfiniteTalk(Adapter):
    """Data: `Audio` of the window."""

    lifetime = "window"

    def __init__(
        self, dim: int, heads: int, layers: int, features: int, hidden: int, tokens: int, out: int
    ) -> None:
        super().__init__()
        self.audio_proj = AudioProjection(features, hidden, tokens, out)
        self.blocks = nn.ModuleList(AudioBlock(dim, out, heads) for _ in range(layers))

    def pieces(self, i: int) -> Pieces:
        return Pieces(observe=Watch(), after_cross=Speak(self.blocks[i]))

    def values(self, context: Context) -> Sequence[Values]:
        audio, canvas = context.data, context.layout.canvas
        tokens = self.audio_proj(audio.windows)
        masks = audio.masks if len(audio.windows) > 1 else None
        frames = []
        for block in self.blocks:
            attn = block.audio_cross_attn
            k, v = rearrange(attn.kv_linear(tokens), "t n (two h d) -> two t n h d", two=2, h=attn.heads)
            if masks is not None:
                half = k.shape[1] // 2
                position = torch.tensor([STARTS[0] + 2] * half + [STARTS[1] + 2] * half)
                k = torch.stack([turned(frame, position) for frame in k])
            frames.append(Values(data=Frames(canvas.clip, canvas.frame_rows, k, v, masks)))
        return frames


def turned(x: Tensor, positions: Tensor) -> Tensor:
    """One-dimensional rotary embedding over the whole head: x [S, H, d], positions [S]."""
    d = x.shape[-1]
    angles = positions[:, None].float() * 10000.0 ** (-torch.arange(0, d, 2).to(positions.device) / d)
    return Rotation(angles.cos(), angles.sin())(x)
