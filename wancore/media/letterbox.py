"""A picture made to fit into a frame with its shape kept."""

from __future__ import annotations

import numpy as np

from wancore.media.pixels import Pixels

WHITE = 255


def contained(picture: Pixels, width: int, height: int) -> Pixels:
    """uint8 [h, w, 3] at the largest size that fits into width x height; Lanczos.

    The shorter side is rounded down, to one pixel at the least.
    """
    from PIL import Image

    ratio = picture.shape[1] / picture.shape[0]
    size = (width, int(width / ratio)) if ratio > width / height else (int(height * ratio), height)
    small = Image.fromarray(picture).resize((max(1, size[0]), max(1, size[1])), Image.Resampling.LANCZOS)
    return np.asarray(small)


def letterboxed(picture: Pixels, width: int, height: int) -> Pixels:
    """uint8 [h, w, 3] -> [height, width, 3]: `contained`, in the middle of white."""
    small = contained(picture, width, height)
    rows, columns = small.shape[:2]
    canvas = np.full((height, width, 3), WHITE, np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas[top : top + rows, left : left + columns] = small
    return canvas
