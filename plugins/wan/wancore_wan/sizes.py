"""Sizes that follow the shape of an image.

Source: Wan-Video/Wan2.1 `image2video.py`, Wan-Video/Wan2.2 `utils/utils.py`.
"""

from __future__ import annotations

import math


def area_size(height: int, width: int, max_area: int, stride: int, patch: int) -> tuple[int, int]:
    """(height, width) in pixels of about `max_area` with the image's aspect ratio, rounded down to tokens."""
    aspect = height / width
    rows = math.sqrt(max_area * aspect) // stride // patch * patch
    columns = math.sqrt(max_area / aspect) // stride // patch * patch
    return int(rows) * stride, int(columns) * stride


def covered_size(height: int, width: int, max_area: int, multiple: int) -> tuple[int, int]:
    """(height, width), multiples of `multiple` within `max_area`, as near to the image's ratio as can be.

    Width first or height first: whichever ends up nearer.
    """
    ratio = width / height
    wide = math.sqrt(max_area * ratio)
    by_width = down(wide, multiple)
    by_height = down(max_area / wide, multiple)
    candidates = (
        (by_width, down(max_area / by_width, multiple) if by_width else 0),
        (down(max_area / by_height, multiple) if by_height else 0, by_height),
    )

    def distortion(size: tuple[int, int]) -> float:
        if 0 in size:
            return math.inf
        got = size[0] / size[1]
        return max(ratio / got, got / ratio)

    first, second = candidates
    width, height = first if distortion(first) < distortion(second) else second
    return height, width


def down(value: float, multiple: int) -> int:
    """`value` rounded down to a multiple."""
    return int(value // multiple * multiple)
