"""Which frames of a video are given."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.plugins.image_channels import frames_mask


def known_frames(frames: int, height: int, width: int, *, last: bool = False) -> Tensor:
    """[4, 1 + (frames - 1) / 4, height, width]: ones for the first frame, with `last` for the last one too.

    As `frames_mask` packs them.
    """
    known = torch.zeros(frames)
    known[0] = 1
    if last:
        known[-1] = 1
    return frames_mask(known, height, width)
