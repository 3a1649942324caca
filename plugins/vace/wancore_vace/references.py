"""Reference images: on a white canvas of the video's size, each a frame of its own.

Source: ali-vilab/VACE `vace/models/wan/wan_vace.py`, `prepare_source`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wancore_vace.tasks.augment import bounds


def letterboxed(image: Tensor, height: int, width: int) -> Tensor:
    """uint8 [h, w, 3] -> [3, 1, height, width] in [-1, 1]: as large as fits, in the middle of white."""
    pixels = image.permute(2, 0, 1).float() / 127.5 - 1
    own_height, own_width = image.shape[:2]
    if (own_height, own_width) == (height, width):
        return pixels[:, None]
    scale = min(height / own_height, width / own_width)
    size = (int(own_height * scale), int(own_width * scale))
    small = F.interpolate(pixels[None], size=size, mode="bilinear", align_corners=False)[0]
    canvas = torch.ones(3, 1, height, width)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    canvas[:, 0, top : top + size[0], left : left + size[1]] = small
    return canvas


def cut_out(image: Tensor, mask: Tensor) -> Tensor:
    """The masked thing on white, cropped to its box: image uint8 [h, w, 3], mask uint8 [h, w]."""
    shown = mask > 127
    left, right, top, bottom = bounds(shown.numpy())
    white = torch.where(shown[..., None], image, 255)
    return white[top : bottom + 1, left : right + 1].to(torch.uint8)


def side_by_side(images: Sequence[Tensor]) -> Tensor:
    """uint8 pictures [h, w, 3] in one, at the height of the first."""
    height = images[0].shape[0]
    return torch.cat([at_height(image, height) for image in images], dim=1)


def at_height(image: Tensor, height: int) -> Tensor:
    if image.shape[0] == height:
        return image
    size = (height, max(1, round(image.shape[1] * height / image.shape[0])))
    planes = image.permute(2, 0, 1)[None]
    return F.interpolate(planes, size=size, mode="bilinear", antialias=True)[0].permute(1, 2, 0)
