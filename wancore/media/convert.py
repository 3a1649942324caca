"""Between 8-bit frames and the float video that models work on, on any device."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from wancore.media.pixels import Pixels


def one_frame(picture: Pixels) -> Tensor:
    """A picture uint8 [H, W, 3] as a video of one frame, float32 [3, 1, H, W] in [-1, 1]."""
    return from_uint8(torch.from_numpy(picture)[None])


def to_uint8(video: Tensor) -> Tensor:
    """Video [3, T, H, W], float in [-1, 1] -> uint8 [T, H, W, 3] on the same device.

    (x + 1) * 127.5 in float32, to the nearest integer, halves to even. What lies outside [-1, 1], as
    decoders overshoot, becomes 0 or 255.
    """
    scaled = (video.float() + 1) * 127.5
    return rearrange(scaled.round().clamp(0, 255).to(torch.uint8), "c t h w -> t h w c").contiguous()


def from_uint8(frames: Tensor) -> Tensor:
    """Frames uint8 [T, H, W, 3] -> float32 [3, T, H, W] in [-1, 1] on the same device: x / 127.5 - 1."""
    return rearrange(frames, "t h w c -> c t h w").float() / 127.5 - 1
