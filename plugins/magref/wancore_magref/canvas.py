"""All pictures on one white canvas, and which of its pixels they cover.

Source: MAGREF-Video/MAGREF, `MagRefModel.process_refimg`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, repeat
from torch import Tensor

from wancore.media.letterbox import contained
from wancore.media.pixels import Pixels
from wancore_magref.grids import GRIDS, grid_size

Box = tuple[int, int, int, int]  # left, top, right, bottom


def blocks(pictures: int, width: int, height: int) -> list[Box]:
    """The canvas cut into blocks for so many pictures, row by row; the last ones take the remainder."""
    columns, rows = GRIDS[grid_size(pictures)]
    x = [*range(0, columns * (width // columns), width // columns), width]
    y = [*range(0, rows * (height // rows), height // rows), height]
    return [(x[i], y[j], x[i + 1], y[j + 1]) for j in range(rows) for i in range(columns)]


@dataclass(frozen=True)
class Collage:
    """`pixels` uint8 [H, W, 3]; `covered` uint8 [H, W]: 1 where a picture is."""

    pixels: Pixels
    covered: Pixels


def collage(pictures: Sequence[Pixels], places: Sequence[int], width: int, height: int) -> Collage:
    """Each picture uint8 [h, w, 3] in the block that its place names, as large as fits, in the middle."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    covered = np.zeros((height, width), np.uint8)
    boxes = blocks(len(pictures), width, height)
    for picture, place in zip(pictures, places, strict=True):
        left, top, right, bottom = boxes[place]
        small = contained(picture, right - left, bottom - top)
        rows, columns = small.shape[:2]
        y, x = top + (bottom - top - rows) // 2, left + (right - left - columns) // 2
        pixels[y : y + rows, x : x + columns] = small
        covered[y : y + rows, x : x + columns] = 1
    return Collage(pixels, covered)


def latent_mask(covered: Pixels, stride: int) -> Tensor:
    """uint8 [H, W] -> [h, w]: 1 where any pixel of the cell is covered."""
    cells = rearrange(torch.from_numpy(covered), "(h p) (w q) -> h w (p q)", p=stride, q=stride)
    return cells.amax(dim=-1)


def packed_mask(mask: Tensor, frames: int) -> Tensor:
    """[h, w] -> [4, frames, h, w] float32: in the four channels of the first latent frame."""
    packed = torch.zeros(4, frames, *mask.shape)
    packed[:, 0] = repeat(mask.float(), "h w -> four h w", four=4)
    return packed
