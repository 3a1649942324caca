"""Masks of known frames, packed to latent frames (Wan-Video/Wan2.1 `image2video.py`)."""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor


def known_frames(frames: int, height: int, width: int, *, last: bool = False) -> Tensor:
    """[4, 1 + (frames - 1) / 4, height, width]: ones where a pixel frame is given.

    Latent frame 0 stands for pixel frame 0 alone, four times over; every other for four frames.
    The first frame is known, with `last` the last one too.
    """
    known = torch.zeros(frames)
    known[0] = 1
    if last:
        known[-1] = 1
    packed = torch.cat((known[:1].repeat(4), known[1:]))
    return repeat(rearrange(packed, "(t four) -> four t", four=4), "c t -> c t h w", h=height, w=width)
