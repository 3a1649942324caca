"""Where two speakers are in the picture (MeiGen-AI/MultiTalk, `wan/multitalk.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wancore.errors import InvalidInput
from wancore_talking.images import fitted_masks

#: row_min, col_min, row_max, col_max in pixels of the source
Box = tuple[float, float, float, float]
MARGIN = 0.05  # of the picture's height and of half its width, around a speaker without a box


def check_boxes(boxes: Sequence[Box], height: int, width: int) -> None:
    """Raises `InvalidInput` for a box that is empty or leaves the picture, and for two that overlap."""
    for i, box in enumerate(boxes):
        top, left, bottom, right = (int(n) for n in box)
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            accepted = f"row_min, col_min, row_max, col_max in pixels within {height} rows, {width} columns"
            raise InvalidInput(f"params.boxes[{i}]", list(box), accepted)
    if len(boxes) == 2 and overlap(*boxes):
        given = [list(box) for box in boxes]
        raise InvalidInput("params.boxes", given, "boxes that do not overlap: each speaker's own place")


def overlap(one: Box, other: Box) -> bool:
    rows = max(int(one[0]), int(other[0])) < min(int(one[2]), int(other[2]))
    return rows and max(int(one[1]), int(other[1])) < min(int(one[3]), int(other[3]))


def default_boxes(height: int, width: int) -> tuple[Box, Box]:
    """The left and the right half of the picture, without their margins."""
    half = width // 2
    top, bottom = int(height * MARGIN), int(height * (1 - MARGIN))
    left, right = int(half * MARGIN), int(half * (1 - MARGIN))
    second = int(half * MARGIN + half), int(half * (1 - MARGIN) + half)
    return (top, left, bottom, right), (top, second[0], bottom, second[1])


def speaker_masks(boxes: Sequence[Box], height: int, width: int) -> Tensor:
    """[speakers + 1, height, width] of 0 and 1 at the source's size; the last is neither's place."""
    masks = torch.zeros(len(boxes) + 1, height, width)
    for mask, box in zip(masks, boxes, strict=False):
        top, left, bottom, right = (int(n) for n in box)
        mask[top:bottom, left:right] = 1
    masks[-1] = (masks[:-1].sum(0) == 0).float()
    return masks


def latent_masks(masks: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """Masks at the source's size -> [n, height / stride, width / stride] of 0 and 1 for a video of `size`."""
    rows, columns = size[0] // stride, size[1] // stride
    return nearest(fitted_masks(masks, size), (rows, columns))


def nearest(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """[n, H, W] -> [n, *size] of 0 and 1."""
    return (F.interpolate(masks[None], size=size)[0] > 0).float()
