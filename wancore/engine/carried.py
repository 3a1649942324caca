"""The frames that a window leaves for the next one."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor


class Carried:
    """Of frames as they are decoded, the last `wanted`; None: all of them. The others are let go at once: a
    window of 81 frames of 1280x720 is 0.9 GB."""

    def __init__(self, wanted: int | None) -> None:
        self.wanted = wanted
        self.parts: deque[Tensor] = deque()

    def add(self, frames: Tensor) -> None:
        """[3, n, H, W], the next ones."""
        self.parts.append(frames)
        while self.wanted is not None and self.count - self.parts[0].shape[1] >= self.wanted:
            self.parts.popleft()

    @property
    def count(self) -> int:
        return sum(part.shape[1] for part in self.parts)

    @property
    def frames(self) -> Tensor:
        """[3, T, H, W]"""
        return torch.cat(list(self.parts), dim=1)[:, -(self.wanted or 0) :]
