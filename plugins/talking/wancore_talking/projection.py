"""Audio features to the tokens that blocks attend to (MeiGen-AI/MultiTalk, `AudioProjModel`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wancore.transformer.norms import LayerNorm

WINDOW = 5  # audio frames around each video frame: two before, itself, two after
LATER = 8  # of the 4 x 5 around a later latent frame's video frames, those that are read


class AudioProjection(nn.Module):
    """`features`: audio layers times their width. `tokens` of width `dim` come out per latent frame."""

    def __init__(self, features: int, hidden: int, tokens: int, dim: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.proj1 = nn.Linear(WINDOW * features, hidden)
        self.proj1_vf = nn.Linear(LATER * features, hidden)
        self.proj2 = nn.Linear(hidden, hidden)
        self.proj3 = nn.Linear(hidden, tokens * dim)
        self.norm = LayerNorm(dim, 1e-5)

    def forward(self, windows: Tensor) -> Tensor:
        """[speakers, 1 + 4 (T - 1), 5, layers, width] -> [T, speakers * tokens, dim], speaker 1 first."""
        windows = windows.to(self.norm.weight)
        first, later = windows[:, :1], windows[:, 1:].unflatten(1, (-1, 4))
        # Of the four video frames: from the first what came before, from the last what comes after.
        spread = torch.cat((later[:, :, 0, :3], later[:, :, 1:3, 2], later[:, :, 3, 2:]), dim=2)
        hidden = torch.cat((self.proj1(first.flatten(2)), self.proj1_vf(spread.flatten(2))), dim=1)
        hidden = self.proj3(F.relu(self.proj2(F.relu(hidden))))
        return rearrange(self.norm(hidden.unflatten(-1, (self.tokens, -1))), "s t n c -> t (s n) c")
