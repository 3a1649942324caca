"""A part of every frame is generated anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wancore_vace.tasks.pixels import Frames, Masks, Pair

#: What covers the part in an 8-bit frame.
COVER = 128


def masked(frames: Frames, masks: Masks) -> Pair:
    """Covers what the masks [F, H, W] (or one for all frames, [H, W]) show."""
    every = np.broadcast_to(masks, frames.shape[:3])
    return Pair(np.where(every[..., None] > 0, frames.dtype.type(COVER), frames), every.copy())


def boxed(frames: Frames, box: Sequence[float]) -> Pair:
    """Covers the box (left, top, right, bottom) in pixels: whole ones, cut off at the edges."""
    return masked(frames, box_mask(frames.shape[1], frames.shape[2], box))


def box_mask(height: int, width: int, box: Sequence[float]) -> Masks:
    """[H, W] uint8: 255 inside the box, whose right and bottom lie outside."""
    left, right = (min(max(int(v), 0), width) for v in (box[0], box[2]))
    top, bottom = (min(max(int(v), 0), height) for v in (box[1], box[3]))
    mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask
