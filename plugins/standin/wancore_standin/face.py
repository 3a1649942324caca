"""The face: cropped to a square, on white, at the size that the model was trained with.

Source: WeChatCV/Stand-In, `preprocessor/image_input_preprocessor.py`. Finding the face, and telling it from
its background, is left to the user.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wancore.media.pixels import Pixels

SIZE = 512
BORDER = 10  # pixels: a face this near to all four borders is the whole picture
MARGIN = 1.5


def face_of(picture: Pixels, boxes: Sequence[Sequence[float]], size: int = SIZE) -> Pixels:
    """uint8 [h, w, 3] -> [size, size, 3]: around the largest of `boxes` (left, top, right, bottom); without
    one, or where it fills the picture, all of it."""
    import cv2

    square = squared(cropped(picture, largest(boxes)) if boxes else picture)
    return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def largest(boxes: Sequence[Sequence[float]]) -> tuple[int, int, int, int]:
    left, top, right, bottom = max(boxes, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
    return int(left), int(top), int(right), int(bottom)


def cropped(picture: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """A square half as large again as the box, as far as the picture goes."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    near = left <= BORDER and top <= BORDER and width - right <= BORDER and height - bottom <= BORDER
    if near:
        return picture
    x, y = (left + right) // 2, (top + bottom) // 2
    half = int(MARGIN * max(right - left, bottom - top)) // 2
    return picture[max(0, y - half) : min(height, y + half), max(0, x - half) : min(width, x + half)]


def squared(picture: Pixels) -> Pixels:
    """With white on both sides of the shorter axis; an odd pixel goes to the right or the bottom."""
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


def on_white(face: Pixels, shown: Pixels) -> Pixels:
    """uint8 [h, w, 3] with white wherever `shown` [h, w] is 0."""
    return np.where(shown[..., None] > 0, face, np.uint8(255)).astype(np.uint8)
