"""Where things are, drawn on white."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from wancore_vace.tasks.pixels import Frames, Masks

BLACK = (0, 0, 0)
BOX_LINE, CONTOUR_LINE = 2, 3  # pixels


def moving_box(
    start: Sequence[float],
    end: Sequence[float],
    count: int,
    height: int,
    width: int,
    color: tuple[int, int, int] = BLACK,
) -> Frames:
    """[count, height, width, 3] uint8: an outline that goes evenly from box `start` towards `end`.

    Boxes are (left, top, right, bottom) in pixels; `end` itself is not reached. `color`: blue, green, red.
    """
    first, last = (np.array((b[0], b[1], b[2] - b[0], b[3] - b[1]), np.float32) for b in (start, end))
    frames = np.full((count, height, width, 3), 255, np.uint8)
    for i, frame in enumerate(frames):
        left, top, across, along = (
            int(v) for v in first + (last - first) * np.float32(i) / np.float32(count)
        )
        cv2.rectangle(frame, (left, top), (left + across, top + along), color, BOX_LINE)
    return np.ascontiguousarray(frames[..., ::-1])


def contours(masks: Masks, color: tuple[int, int, int] = BLACK) -> Frames:
    """[F, H, W, 3] uint8: the outlines of what the masks [F, H, W] show. `color`: red, green, blue."""
    frames = np.full((*masks.shape, 3), 255, np.uint8)
    for frame, mask in zip(frames, masks, strict=True):
        shown = (mask > 127).astype(np.uint8)
        found, _ = cv2.findContours(shown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(frame, found, -1, color, CONTOUR_LINE)
    return frames
