"""The order in which tensor cores read block scales (cuBLAS "1D block scaling factors layout").

The matrix of scales is padded to tiles of 128 x 4; a tile is stored as 32 x 4 x 4, so that row 32 a + b and
column c stand at b * 16 + a * 4 + c.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def padded_sizes(rows: int, columns: int) -> tuple[int, int]:
    return -(-rows // 128) * 128, -(-columns // 4) * 4


def unswizzled(stored: Tensor, rows: int, columns: int) -> Tensor:
    """[padded rows, padded columns] as stored -> [rows, columns]."""
    high, wide = padded_sizes(rows, columns)
    tiles = stored.reshape(high // 128, wide // 4, 32, 4, 4)
    return tiles.permute(0, 3, 2, 1, 4).reshape(high, wide)[:rows, :columns]


def swizzled(scales: Tensor) -> Tensor:
    """[rows, columns] -> [padded rows, padded columns] as stored; the padding is zero."""
    rows, columns = scales.shape
    high, wide = padded_sizes(rows, columns)
    padded = F.pad(scales, (0, wide - columns, 0, high - rows))
    return padded.reshape(high // 128, 4, 32, wide // 4, 4).permute(0, 3, 2, 1, 4).reshape(high, wide)
