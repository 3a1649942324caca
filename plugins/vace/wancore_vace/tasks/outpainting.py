"""What lies beyond the edges of every frame is generated."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from wancore_vace.tasks.inpainting import COVER
from wancore_vace.tasks.pixels import Frames, Pair

Side = Literal["left", "right", "up", "down"]


@dataclass(frozen=True)
class Border:
    """Pixels on each side."""

    left: int
    right: int
    up: int
    down: int

    @classmethod
    def of(cls, height: int, width: int, sides: Collection[Side], ratio: float) -> Border:
        """The share `ratio` of the frame's width or height on the chosen sides."""
        across, along = int(ratio * width), int(ratio * height)
        return cls(
            across if "left" in sides else 0,
            across if "right" in sides else 0,
            along if "up" in sides else 0,
            along if "down" in sides else 0,
        )


def outside(frames: Frames, sides: Collection[Side], ratio: float) -> Pair:
    """The frame grows by the share `ratio` of its size on each of `sides`."""
    count, height, width = frames.shape[:3]
    border = Border.of(height, width, sides, ratio)
    size = (count, height + border.up + border.down, width + border.left + border.right)
    rows, columns = slice(border.up, border.up + height), slice(border.left, border.left + width)
    grown, masks = np.full((*size, 3), COVER, frames.dtype), np.full(size, 255, np.uint8)
    grown[:, rows, columns] = frames
    masks[:, rows, columns] = 0
    return Pair(grown, masks)


def inside(frames: Frames, sides: Collection[Side], ratio: float) -> Pair:
    """The frame keeps its size, and a border of it is covered.

    As published, the mask keeps one pixel more at the right and below than is left of the frame.
    """
    height, width = frames.shape[1:3]
    border = Border.of(height, width, sides, ratio)
    bottom, right = height - border.down, width - border.right
    covered, masks = np.full_like(frames, COVER), np.full(frames.shape[:3], 255, np.uint8)
    covered[:, border.up : bottom, border.left : right] = frames[:, border.up : bottom, border.left : right]
    masks[:, border.up : bottom + 1, border.left : right + 1] = 0
    return Pair(covered, masks)
