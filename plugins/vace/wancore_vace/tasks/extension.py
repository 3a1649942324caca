"""Given frames at the beginning, at the end or at both; the others are to be generated."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from wancore_vace.tasks.pixels import Frames, Masks, Pair

#: Mid grey, which is 0 in [-1, 1]: what a pixel that is to be generated looks like.
GREY = 127.5


def after(clip: Frames, count: int) -> Pair:
    """`clip` [n, H, W, 3], then `count` frames to generate."""
    return Pair.joined(given(clip), missing(clip, count))


def before(clip: Frames, count: int) -> Pair:
    """`count` frames to generate, then `clip` [n, H, W, 3]."""
    return Pair.joined(missing(clip, count), given(clip))


def between(first: Frames, last: Frames, count: int) -> Pair:
    """`first`, `count` frames to generate, then `last`, brought to the size of `first` on white."""
    height, width = first.shape[1:3]
    fitted = np.stack([on_white(frame, height, width) for frame in last])
    return Pair.joined(given(first), missing(first, count), given(fitted))


def keeping(clip: Frames, kept: Collection[int]) -> Pair:
    """Only the frames numbered `kept` are given; the others are to be generated."""
    frames, masks = given(clip).frames.copy(), np.zeros(clip.shape[:3], np.float32)
    for i in range(len(clip)):
        if i not in kept:
            frames[i], masks[i] = GREY, 255
    return Pair(frames, masks)


def given(clip: Frames) -> Pair:
    return Pair(clip.astype(np.float32), np.zeros(clip.shape[:3], np.float32))


def missing(like: Frames, count: int) -> Pair:
    shape = (count, *like.shape[1:3])
    masks: Masks = np.full(shape, 255, np.float32)
    return Pair(np.full((*shape, 3), GREY, np.float32), masks)


def on_white(frame: Frames, height: int, width: int) -> Frames:
    """[h, w, 3] -> [height, width, 3]: as large as fits, in the middle of a white frame."""
    own_height, own_width = frame.shape[:2]
    if (own_height, own_width) == (height, width):
        return frame
    scale = min(width / own_width, height / own_height)
    new_width, new_height = int(own_width * scale), int(own_height * scale)
    resized = cv2.resize(frame, (new_width, new_height), interpolation=cv2.INTER_AREA)
    canvas = np.full((height, width, 3), 255, frame.dtype)
    top, left = (height - new_height) // 2, (width - new_width) // 2
    canvas[top : top + new_height, left : left + new_width] = resized
    return canvas
