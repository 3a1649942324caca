"""Several frames in one picture."""

from __future__ import annotations

import math

import numpy as np

from wancore.errors import InvalidInput
from wancore.media.pixels import Pixels

GAP = 4  # pixels between frames
WHITE = 255


def contact_sheet(frames: Pixels, columns: int) -> Pixels:
    """Frames [n, H, W, 3] row by row in a grid -> [rows * (H + GAP) - GAP, columns * (W + GAP) - GAP, 3].

    Gaps and places left over are white. Raises `InvalidInput` without a frame or a column.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or len(frames) == 0:
        raise InvalidInput(
            "frames", f"{frames.dtype}{list(frames.shape)}", "uint8 [n, H, W, 3], n at least 1"
        )
    if columns < 1:
        raise InvalidInput("columns", columns, "at least 1")
    rows, (height, width) = math.ceil(len(frames) / columns), frames.shape[1:3]
    shape = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    sheet = np.full(shape, WHITE, np.uint8)
    for i, frame in enumerate(frames):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = frame
    return sheet
