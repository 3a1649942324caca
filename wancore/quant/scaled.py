"""8-bit codes with one scale for the matrix, for each row, or for each tile.

That is plain fp8 (no scale at all), "scaled" fp8, fp8 and int8 per output channel (LightX2V, meituan),
128 x 128 tiles (DeepGEMM), and ComfyUI's `float8_*` and `int8_tensorwise`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.kernels.requantise import requantise_rows
from wancore.quant.codes import CODES, E4M3, Code
from wancore.quant.weight import Weight

TILE = 128  # of DeepGEMM's scales, whose last tiles may be cut off by the edge


@dataclass(frozen=True)
class Activations:
    """What a file says about the layer's inputs.

    `scale`: the static scale that they were calibrated with, None without one. `full_precision`: the
    file asks for the product to be computed with the dequantised weight.
    """

    scale: float | None = None
    full_precision: bool = False


class ScaledWeight(Weight):
    """codes [out, ...] of a dtype in `CODES`; scale: a float32 grid over them, one value for each tile."""

    codes: Tensor
    scale: Tensor | None

    def __init__(
        self,
        format: str,
        codes: Tensor,
        scale: Tensor | None = None,
        activations: Activations = Activations(),
    ) -> None:
        """`scale` in any form that files have it in (see `scale_grid`). Raises `ValueError`."""
        super().__init__(format, tuple(codes.shape))
        self.activations = activations
        self.register_buffer("codes", codes)
        self.register_buffer("scale", None if scale is None else scale_grid(scale.float(), self.sizes))

    @property
    def code(self) -> Code:
        return CODES[self.codes.dtype]

    @property
    def sizes(self) -> tuple[int, int]:
        """(rows, columns) of the codes seen as a matrix."""
        rows = self.shape[0] if self.shape else 1
        return rows, math.prod(self.shape[1:])

    @property
    def grid(self) -> Tensor:
        """The scales as they are held; a 1 where there are none."""
        return torch.ones(1, 1, device=self.device) if self.scale is None else self.scale

    @property
    def row_scales(self) -> Tensor | None:
        """[out, 1], or None where the scales are finer than rows."""
        if self.scale is None:
            return torch.ones(self.sizes[0], 1, device=self.device)
        return self.scale.expand(self.sizes[0], 1) if self.scale.shape[1] == 1 and not self.tiled else None

    @property
    def tiled(self) -> bool:
        return self.scale is not None and spread_needed(self.scale, self.sizes)

    def values(self) -> Tensor:
        values = self.codes.float().reshape(self.sizes)
        if self.scale is not None:
            values = values.mul_(spread(self.scale, self.sizes))
        return values.reshape(self.shape)

    def steps(self) -> Tensor:
        steps = self.code.steps(self.codes.float().reshape(self.sizes))
        if self.scale is not None:
            steps = steps * spread(self.scale, self.sizes)
        return steps.reshape(self.shape) if steps.numel() == self.codes.numel() else steps

    def quantised(self, master: Tensor) -> ScaledWeight:
        matrix = master.reshape(self.sizes)
        scale = None
        if self.scale is not None:
            largest = tile_maxima(matrix.abs(), tuple(self.scale.shape))
            scale = torch.where(largest > 0, largest / self.code.largest, torch.ones_like(largest))
            matrix = matrix / spread(scale, self.sizes)
        return ScaledWeight(
            self.format, self.code.rounded(matrix).reshape(self.shape), scale, self.activations
        )

    def requantised(self, master: Tensor) -> tuple[ScaledWeight, Tensor]:
        by_rows = self.scale is not None and tuple(self.scale.shape) == (self.sizes[0], 1)
        if not by_rows or self.codes.dtype != E4M3:
            return super().requantised(master)
        rows = requantise_rows(master.reshape(self.sizes))
        codes = rows.codes.reshape(self.shape)
        return ScaledWeight(self.format, codes, rows.scale, self.activations), rows.errors

    def rows(self, start: int, end: int) -> ScaledWeight:
        scale = self.scale
        if scale is not None and scale.shape[0] == self.sizes[0]:
            scale = scale[start:end]
        elif scale is not None and scale.shape[0] > 1:
            height = tile_size(self.sizes[0], scale.shape[0])
            if start % height or (end % height and end != self.sizes[0]):
                raise ValueError(f"rows {start} to {end} cut through tiles of {height}")
            scale = scale[start // height : -(-end // height)]
        return ScaledWeight(self.format, self.codes[start:end], scale, self.activations)


def scale_grid(scale: Tensor, sizes: tuple[int, int]) -> Tensor:
    """A stored scale as a grid [tile rows, tile columns] over a matrix of `sizes`.

    Files have it as one value, [out], [out, 1], tiles [out / h, in / w] (the last of 128 may be cut off),
    or [out, in / w, 1]. Raises `ValueError` for any other shape.
    """
    given = list(scale.shape)
    if scale.numel() == 1:
        return scale.reshape(1, 1)
    if scale.ndim == 1:
        scale = scale[:, None]
    if scale.ndim > 2 and scale.shape[2:].numel() == 1:
        scale = scale.reshape(scale.shape[:2])
    if scale.ndim != 2 or not all(map(covers, scale.shape, sizes)):
        raise ValueError(f"scales of shape {given} do not cover {sizes[0]} x {sizes[1]} values")
    return scale


def covers(count: int, size: int) -> bool:
    return count > 0 and (size % count == 0 or count == -(-size // TILE))


def tile_size(size: int, count: int) -> int:
    """How long each of `count` tiles is along an axis; 128 where that fits, else equal parts."""
    return TILE if count == -(-size // TILE) and count > 1 else size // count


def spread_needed(grid: Tensor, sizes: tuple[int, int]) -> bool:
    return any(count not in (1, size) for count, size in zip(grid.shape, sizes, strict=True))


def spread(grid: Tensor, sizes: tuple[int, int]) -> Tensor:
    """A grid of scales, broadcastable to the matrix."""
    for axis, size in enumerate(sizes):
        count = grid.shape[axis]
        if count not in (1, size):
            grid = grid.repeat_interleave(tile_size(size, count), axis).narrow(axis, 0, size)
    return grid


def tile_maxima(matrix: Tensor, grid: tuple[int, ...]) -> Tensor:
    """The largest element of each tile of a non-negative matrix: [*grid]."""
    heights = [tile_size(size, count) for size, count in zip(matrix.shape, grid, strict=True)]
    pads = [h * count - size for h, count, size in zip(heights, grid, matrix.shape, strict=True)]
    padded = torch.nn.functional.pad(matrix, (0, pads[1], 0, pads[0]))
    return padded.reshape(grid[0], heights[0], grid[1], heights[1]).amax((1, 3))
