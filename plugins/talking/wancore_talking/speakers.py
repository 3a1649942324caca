"""Where speakers sit on the one-dimensional rotary axis that tells their voices apart.

Source: MeiGen-AI/MultiTalk, `wan/modules/attention.py` (L-RoPE, arXiv:2505.22647).
"""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.transformer.rope import Rotation

STARTS = (0.0, 20.0)  # queries that look at speaker i lie in start .. start + SPAN
SPAN = 4.0
BACKGROUND = 12.0
VOICES = (2.0, 22.0)  # keys of speaker i
BASE = 10_000.0


def query_positions(seen: Tensor) -> Tensor:
    """How strongly each row looks at speaker 1, speaker 2 and the background [rows, 3] -> positions [rows].

    A row belongs to the class it looks at most; within a speaker's range it lies where its share of the
    attention lies between the least and the most that any row pays.
    """
    low, high = seen.amin(0), seen.amax(0)
    share = SPAN * (seen - low) / (high - low + 1e-8)
    background = torch.full_like(share[:, 0], BACKGROUND)
    positions = torch.stack((STARTS[0] + share[:, 0], STARTS[1] + share[:, 1], background), dim=1)
    return positions.gather(1, seen.argmax(1, keepdim=True))[:, 0]


def voice_positions(tokens: int, device: torch.device) -> Tensor:
    """Positions of one latent frame's keys: `tokens` of each speaker, speaker 1 first."""
    return torch.tensor(VOICES, device=device).repeat_interleave(tokens)


def turned(x: Tensor, positions: Tensor) -> Tensor:
    """x [S, H, d] rotated over the whole head, by positions [S]."""
    exponents = torch.arange(0, x.shape[-1], 2, device=x.device) / x.shape[-1]
    angles = positions[:, None].float() * BASE**-exponents
    return Rotation(angles.cos(), angles.sin())(x)
