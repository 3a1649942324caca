"""What the adapter hears around each video frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

REACH = 2  # frames before and after
TURN = 3  # frames of reversed sound beyond the end of the last window


@dataclass(frozen=True)
class Features:
    """One speaker's features [N, layers, width], one row for each video frame of the sound."""

    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def window(self, start: int, frames: int, reversed_tail: bool = False) -> Tensor:
        """[frames, 5, layers, width] around the frames from `start` on.

        Beyond its ends the sound stays at its first and last row; with `reversed_tail` it runs back from
        its end first, as far as the window and three frames more.
        """
        indices = torch.arange(start, start + frames)[:, None] + torch.arange(-REACH, REACH + 1)
        length, end = len(self.rows), start + frames
        turned = min(end - length + TURN, length) if reversed_tail and end >= length else 0
        indices = indices.clamp(0, length + turned - 1)
        return self.rows[torch.where(indices < length, indices, 2 * length - 1 - indices)]


def speech_features(levels: Tensor) -> Features:
    """wav2vec2's hidden states [1 + layers, N, width]; the embedding, the first level, is left out."""
    return Features(levels[1:].transpose(0, 1).contiguous())
