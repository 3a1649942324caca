"""Pictures and masks at the size of the video: scaled until they cover it, middle cut out."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def covering(height: int, width: int, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a picture scaled to just cover `size`, rounded up."""
    scale = max(size[0] / height, size[1] / width)
    return math.ceil(scale * height), math.ceil(scale * width)


def centre(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of [..., H, W]."""
    top, left = (round((have - want) / 2) for have, want in zip(picture.shape[-2:], size, strict=True))
    return picture[..., top : top + size[0], left : left + size[1]]


def fitted(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 [H, W, 3] -> float32 [3, height, width] in [-1, 1], scaled bilinearly (Pillow)."""
    rows, columns = covering(picture.shape[0], picture.shape[1], size)
    scaled = Image.fromarray(picture.numpy()).resize((columns, rows), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(scaled)).permute(2, 0, 1)
    return centre(pixels, size).float() / 255 * 2 - 1


def fitted_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """[n, H, W] -> [n, height, width], nearest."""
    rows, columns = covering(masks.shape[1], masks.shape[2], size)
    return centre(F.interpolate(masks[None], size=(rows, columns))[0], size)
