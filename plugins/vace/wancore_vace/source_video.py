"""A user's video at the size and length that the model works on.

Source: ali-vilab/VACE `vace/models/utils/preprocessor.py`, `VaceVideoProcessor`. The frame rate of the
source does not matter: a clip is stretched or squeezed to the frames asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor

PATCH = 16  # pixels of a token
LATENT_FRAMES = 21  # of the sequence length that an area stands for


@dataclass(frozen=True)
class VideoSize:
    """Frames, and pixels."""

    frames: int
    height: int
    width: int


def fitted_size(frames: int, height: int, width: int, area: int) -> VideoSize:
    """The size for a source of `frames` frames: its shape, at most `area` pixels, as many frames as fit."""
    tokens = area // PATCH**2 * LATENT_FRAMES
    most = min(tokens, area / PATCH**2, (height // PATCH) * (width // PATCH))
    latent_frames = min((frames - 1) // 4 + 1, int(tokens / most))
    target = min(most, int(tokens / latent_frames))
    rows = max(1, round(sqrt(target * height / width)))
    columns = max(1, int(target / rows))
    return VideoSize((latent_frames - 1) * 4 + 1, rows * PATCH, columns * PATCH)


def frame_numbers(available: int, fps: float, count: int) -> list[int]:
    """Which of the frames 0 .. available - 1 to take, evenly over the whole time."""
    starts = np.arange(available, dtype=np.float32) / np.float32(fps)
    ends = (np.arange(available, dtype=np.float32) + 1) / np.float32(fps)
    last = (starts[-1] + ends[-1]) / 2
    times = np.linspace(0, last, count)
    return [int(np.argmax((starts <= time) & (time <= ends))) for time in times]


def covered(frames: Tensor, height: int, width: int) -> Tensor:
    """uint8 [F, h, w, 3] -> [3, F, height, width] in [-1, 1]: scaled to cover, the middle cut out.

    Bicubic with antialiasing in 8 bits.
    """
    own_height, own_width = frames.shape[1:3]
    video = frames.permute(0, 3, 1, 2)
    if (own_height, own_width) != (height, width):
        scale = max(width / own_width, height / own_height)
        size = (round(scale * own_height), round(scale * own_width))
        video = torch.nn.functional.interpolate(video, size=size, mode="bicubic", antialias=True)
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        video = video[:, :, top : top + height, left : left + width]
    return video.permute(1, 0, 2, 3).float() / 127.5 - 1
