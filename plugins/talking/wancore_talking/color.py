"""Frames in the colours of a reference (Reinhard et al. 2001; upstream: scikit-image's Lab)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Linear sRGB to XYZ, and the D65 white of the 2 degree observer (CIE 15, IEC 61966-2-1).
TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
WHITE = (0.95047, 1.0, 1.08883)
LINEAR_BELOW = 0.008856  # of the cube root in Lab
SLOPE, OFFSET = 7.787, 16 / 116


@dataclass(frozen=True)
class ColorMatch:
    """Gives each Lab channel of a frame the mean and spread of `reference` [3, H, W] in [-1, 1].

    `strength` 0..1: the share of the corrected frame in the result.
    """

    reference: Tensor
    strength: float

    def __call__(self, frames: Tensor) -> Tensor:
        """[3, n, H, W] in [-1, 1] -> the same."""
        rgb = ((frames.float() + 1) / 2).clamp(0, 1)
        lab = to_lab(rgb)
        goal = to_lab(((self.reference.to(frames).float()[:, None] + 1) / 2).clamp(0, 1))
        mean, spread = statistics(lab)
        goal_mean, goal_spread = statistics(goal)
        ratio = torch.where(spread == 0, 0, goal_spread / spread.where(spread != 0, 1))
        corrected = to_rgb((lab - mean) * ratio + goal_mean)
        blended = (1 - self.strength) * rgb + self.strength * corrected
        return (blended * 2 - 1).to(frames)


def statistics(lab: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel and frame of [3, n, H, W], kept as dimensions."""
    spread, mean = torch.std_mean(lab, dim=(2, 3), correction=0, keepdim=True)
    return mean, spread


def to_lab(rgb: Tensor) -> Tensor:
    """sRGB [3, ...] in 0..1 -> Lab."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    x, y, z = torch.tensordot(rgb.new_tensor(TO_XYZ), linear, 1) / white(rgb)
    fx, fy, fz = (torch.where(t > LINEAR_BELOW, t ** (1 / 3), SLOPE * t + OFFSET) for t in (x, y, z))
    return torch.stack((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)))


def to_rgb(lab: Tensor) -> Tensor:
    """Lab [3, ...] -> sRGB, held in 0..1."""
    fy = (lab[0] + 16) / 116
    f = torch.stack((lab[1] / 500 + fy, fy, (fy - lab[2] / 200).clamp(min=0)))
    xyz = torch.where(f > LINEAR_BELOW ** (1 / 3), f**3, (f - OFFSET) / SLOPE) * white(lab)
    linear = torch.tensordot(torch.linalg.inv(lab.new_tensor(TO_XYZ)), xyz, 1)
    curved = 1.055 * linear.clamp(min=0) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curved, linear * 12.92).clamp(0, 1)


def white(like: Tensor) -> Tensor:
    return like.new_tensor(WHITE).view(3, *[1] * (like.ndim - 1))
