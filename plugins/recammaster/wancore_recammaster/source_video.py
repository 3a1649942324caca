"""The source video at the size of the result."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from wancore.media.convert import from_uint8
from wancore.media.pixels import Pixels


def covered(frames: Iterable[Pixels], height: int, width: int) -> Tensor:
    """uint8 frames [h, w, 3] -> [3, F, height, width] in [-1, 1]: scaled to cover, the middle cut out."""
    return from_uint8(torch.from_numpy(np.stack([covered_frame(frame, height, width) for frame in frames])))


def covered_frame(frame: Pixels, height: int, width: int) -> Pixels:
    """Bilinear with antialiasing, as released (Pillow)."""
    from PIL import Image

    own_height, own_width = frame.shape[:2]
    scale = max(width / own_width, height / own_height)
    size = (round(own_width * scale), round(own_height * scale))
    resized = Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    return np.asarray(resized.crop((left, top, left + width, top + height)))
