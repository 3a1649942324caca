"""Pictures to pixels in [-1, 1], resized as upstream does."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def to_pixels(image: Tensor) -> Tensor:
    """uint8 [H, W, 3] -> float32 [3, H, W] in [-1, 1]."""
    return image.permute(2, 0, 1).float() / 255 * 2 - 1


def stretched(pixels: Tensor, height: int, width: int) -> Tensor:
    """[3, H, W] straight to the given size: bicubic, no antialiasing, aspect ratio not kept."""
    return F.interpolate(pixels[None], size=(height, width), mode="bicubic", align_corners=False)[0]


def fitted_like(pixels: Tensor, first: tuple[int, int], height: int, width: int) -> Tensor:
    """A last frame [3, H, W] resized as the first one was, whose size was `first`.

    It first covers the first frame's size, so both are scaled and stretched alike, then its middle
    is cut out; with equal sizes this is `stretched`.
    """
    own_height, own_width = pixels.shape[1:]
    cover = max(first[0] / own_height, first[1] / own_width)
    rows = max(height, round(own_height * cover * height / first[0]))
    columns = max(width, round(own_width * cover * width / first[1]))
    return centre(stretched(pixels, rows, columns), height, width)


def covered(image: Tensor, height: int, width: int) -> Tensor:
    """uint8 [H, W, 3] scaled (Lanczos) until it covers the size, middle cut out -> [3, height, width]."""
    own_height, own_width = image.shape[:2]
    scale = max(width / own_width, height / own_height)
    size = (round(own_width * scale), round(own_height * scale))
    resized = Image.fromarray(image.numpy()).resize(size, Image.Resampling.LANCZOS)
    return to_pixels(centre_rows(torch.from_numpy(np.array(resized)), height, width))


def centre(pixels: Tensor, height: int, width: int) -> Tensor:
    """The middle of [3, H, W]."""
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    return pixels[:, top : top + height, left : left + width]


def centre_rows(image: Tensor, height: int, width: int) -> Tensor:
    """The middle of [H, W, 3]."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]
