"""The audio adapter: a projection of audio features, and an attention to them in every block."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wancore.transformer.adapter import Adapter, Lifetime, Pieces, Values
from wancore.transformer.context import Context
from wancore_talking.attention import AudioBlock, Heard, Listen, Watch
from wancore_talking.projection import AudioProjection
from wancore_talking.speakers import turned, voice_positions


@dataclass(frozen=True)
class Speech:
    """One window's audio.

    `windows` [speakers, 1 + 4 (T - 1), 5, layers, width]: features around every video frame.
    `masks` [3, h, w] at any size: speaker 1, speaker 2, background; with two speakers only.
    """

    windows: Tensor
    masks: Tensor | None = None
    strength: float = 1.0

    def silent(self) -> Speech:
        """The pass without audio: the features of one speaker as zeros, which the projection still reads."""
        return replace(self, windows=torch.zeros_like(self.windows[:1]))

    def at(self, frames: Sequence[int]) -> Speech:
        """The part for the latent frames `frames` of the clip: the first alone, the others by four."""
        first, *rest = frames
        pixels = [4 * first, *(4 * f + k for f in rest for k in (-3, -2, -1, 0))]
        return replace(self, windows=self.windows[:, pixels])


@dataclass(frozen=True)
class Sizes:
    """Of the adapter: `features` of one audio frame, `hidden` of the projection, its tokens and width."""

    features: int
    hidden: int
    tokens: int
    audio_dim: int


class TalkingAdapter(Adapter):
    """Data: the window's `Speech`. Keys and values are worked out once for each window and variant."""

    lifetime: Lifetime = "window"
    dense = re.compile(r"blocks\.\d+\.audio_cross_attn\.(q_linear|proj)")

    def __init__(self, dim: int, heads: int, layers: int, sizes: Sizes) -> None:
        super().__init__()
        self.audio_proj = AudioProjection(sizes.features, sizes.hidden, sizes.tokens, sizes.audio_dim)
        self.blocks = nn.ModuleList(AudioBlock(dim, sizes.audio_dim, heads) for _ in range(layers))

    @property
    def audio_blocks(self) -> list[AudioBlock]:
        return [block for block in self.blocks if isinstance(block, AudioBlock)]

    def pieces(self, i: int) -> Pieces:
        return Pieces(observe=Watch(), after_cross=Listen(self.audio_blocks[i]))

    def values(self, context: Context) -> Sequence[Values]:
        speech: Speech = context.data
        canvas = context.layout.canvas
        tokens = self.audio_proj(speech.windows.to(context.x.device))  # [T, speakers * tokens, audio_dim]
        if len(tokens) != canvas.frames:
            raise ValueError(f"audio of {len(tokens)} latent frames for a clip of {canvas.frames}")
        masks = None
        if len(speech.windows) > 1 and speech.masks is not None:
            size = (canvas.height, canvas.width)
            masks = F.interpolate(speech.masks[None].float().to(tokens.device), size=size)[0]
            masks = (masks > 0).float().flatten(1)
        values = []
        for block in self.audio_blocks:
            k, v = block.audio_cross_attn.keys(tokens)
            if masks is not None:
                k = turned_voices(k)
            heard = Heard(canvas.clip, canvas.frame_rows, k, v, masks, speech.strength)
            values.append(Values(data=heard))
        return values


def turned_voices(k: Tensor) -> Tensor:
    """Keys [T, M, H, d] of two speakers, each at its place on the rotary axis."""
    positions = voice_positions(k.shape[1] // 2, k.device).repeat(len(k))
    return turned(k.flatten(0, 1), positions).unflatten(0, (len(k), -1))
