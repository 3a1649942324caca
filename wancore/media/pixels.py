"""Arrays of 8-bit pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: uint8 [H, W, 3] or [T, H, W, 3], RGB, sRGB, full range.
Pixels = npt.NDArray[np.uint8]


def on_white(rgba: Pixels) -> Pixels:
    """RGBA [..., 4] with straight alpha, laid over white -> RGB [..., 3], rounded to the nearest value."""
    color, alpha = rgba[..., :3].astype(np.uint16), rgba[..., 3:].astype(np.uint16)
    over = color * alpha + 255 * (255 - alpha)  # at most 255 * 255, which uint16 holds
    return ((over + 127) // 255).astype(np.uint8)
