"""Three-dimensional rotary position embedding, as factors instead of positions.

Source: RoFormer (arXiv:2104.09864); Wan's split of the head over time, height and width.
A token's factor is one complex number per channel pair. Factors rather than positions are what
the blocks take, because an average of factors (a pooled grid) is no longer a position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.kernels.rotary import rotated


@dataclass(frozen=True)
class Frequencies:
    """Angular speeds of each channel pair on the three axes.

    `theta`: base per axis (time, height, width), 10000 unless stretched (NTK).
    `time_speeds`: replaces the speed of single time-axis pairs, index -> radians per frame (RIFLEx).
    """

    head_dim: int
    theta: tuple[float, float, float] = (10000.0, 10000.0, 10000.0)
    time_speeds: tuple[tuple[int, float], ...] = ()

    @property
    def axes(self) -> tuple[int, int, int]:
        """Channels of the head given to time, height and width; they add up to `head_dim`."""
        side = 2 * (self.head_dim // 6)
        return self.head_dim - 2 * side, side, side

    def speeds(self, axis: int) -> Tensor:
        """[axis channels / 2] float64, radians per position."""
        size = self.axes[axis]
        exponents = torch.arange(0, size, 2, dtype=torch.float64) / size
        speeds = self.theta[axis] ** -exponents
        if axis == 0:
            for index, speed in self.time_speeds:
                speeds[index] = speed
        return speeds

    def factors(self, positions: Tensor) -> Tensor:
        """Complex factors [n, head_dim / 2] (complex128) of tokens at `positions` [n, 3].

        Positions may be negative or fractional; an axis left out is position 0.
        """
        angles = [torch.outer(positions[:, axis].to(torch.float64), self.speeds(axis)) for axis in range(3)]
        joined = torch.cat(angles, dim=1)
        return torch.polar(torch.ones_like(joined), joined)


def riflex(frequencies: Frequencies, index: int, frames: int) -> Frequencies:
    """RIFLEx (arXiv:2502.15894): slows time pair number `index` (from 1) to 0.9 of a turn in `frames`."""
    speed = (index - 1, 0.9 * 2 * math.pi / frames)
    return Frequencies(frequencies.head_dim, frequencies.theta, (*frequencies.time_speeds, speed))


def grid_positions(
    frames: int, height: int, width: int, start: tuple[float, float, float] = (0, 0, 0)
) -> Tensor:
    """Positions [frames * height * width, 3] of a token grid, in frame, row, column order."""
    axes = [
        torch.arange(n, dtype=torch.float64) + s for n, s in zip((frames, height, width), start, strict=True)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, 2)


@dataclass(frozen=True)
class Rotation:
    """Factors in the form the blocks use: `cos`, `sin` [S, head_dim / 2] float32."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, factors: Tensor, device: torch.device | str | None = None) -> Rotation:
        return cls(factors.real.float().to(device), factors.imag.float().to(device))

    def rows(self, start: int, stop: int) -> Rotation:
        return Rotation(self.cos[start:stop], self.sin[start:stop])

    def __call__(self, x: Tensor) -> Tensor:
        """Rotates neighbouring channel pairs of `x` [S, H, d]."""
        return rotated(x, self.cos, self.sin)
