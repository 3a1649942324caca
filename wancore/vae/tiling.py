"""Cutting a picture into overlapping tiles and blending them again.

The rule is that of the ComfyUI wrapper (rookiestar28/ComfyUI-WanVideoWrapper
`wanvideo/wan_video_vae.py`): tiles start at multiples of the stride and are cut off at the border;
each counts with the smaller of a row and a column ramp; the sum is divided by the sum of weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.errors import InvalidInput


@dataclass(frozen=True)
class Tiling:
    """Tile sizes and the distances between their starts, (rows, columns), in latent pixels.

    Raises `InvalidInput` unless 0 < stride < size in both directions.
    """

    size: tuple[int, int]
    stride: tuple[int, int]

    def __post_init__(self) -> None:
        if not all(0 < stride < size for size, stride in zip(self.size, self.stride, strict=True)):
            raise InvalidInput("tiling", self, "strides of at least 1 that are smaller than the tile")

    def scaled(self, factor: int) -> Tiling:
        """The same tiling in units of 1/factor, e.g. in pixels."""
        (height, width), (rows, columns) = self.size, self.stride
        return Tiling((height * factor, width * factor), (rows * factor, columns * factor))

    def tiles(self, height: int, width: int) -> list[Tile]:
        """The tiles of a picture, row by row."""
        rows = spans(height, self.size[0], self.stride[0])
        columns = spans(width, self.size[1], self.stride[1])
        return [Tile(row, column) for row in rows for column in columns]


@dataclass(frozen=True)
class Span:
    """Part [start, end) of one side; `first` and `last` tell whether it touches the border there."""

    start: int
    end: int
    first: bool
    last: bool


@dataclass(frozen=True)
class Tile:
    row: Span
    column: Span

    def crop(self, picture: Tensor) -> Tensor:
        """The tile's part of `picture` [..., H, W], as a view."""
        return picture[..., self.row.start : self.row.end, self.column.start : self.column.end]


def spans(length: int, size: int, stride: int) -> list[Span]:
    """Starts at 0, stride, 2 stride, … up to the first tile that reaches the end."""
    found: list[Span] = []
    for start in range(0, length, stride):
        end = start + size
        found.append(Span(start, min(end, length), first=start == 0, last=end >= length))
        if end >= length:
            break
    return found


class Blend:
    """Sums up weighted tiles on one picture.

    `overlap` (rows, columns): the length of the ramps on the sides that are not at the border.
    """

    def __init__(self, shape: tuple[int, ...], overlap: tuple[int, int], device: torch.device) -> None:
        self.overlap = overlap
        self.values = torch.zeros(shape, device=device)
        self.weights = torch.zeros(shape[-2:], device=device)

    def add(self, values: Tensor, tile: Tile, position: tuple[int, int], frame: int = 0) -> None:
        """`values` [C, t, h, w] of `tile`, at (row, column) `position` and from frame `frame` on."""
        frames, height, width = values.shape[1:]
        rows = slice(position[0], position[0] + height)
        columns = slice(position[1], position[1] + width)
        weight = self.weight(tile, height, width)
        self.values[:, frame : frame + frames, rows, columns] += values.to(weight.device) * weight
        if frame == 0:
            self.weights[rows, columns] += weight

    def weight(self, tile: Tile, height: int, width: int) -> Tensor:  # [height, width]
        device = self.values.device
        row = ramp(height, self.overlap[0], tile.row, device)
        column = ramp(width, self.overlap[1], tile.column, device)
        return torch.minimum(row[:, None], column[None, :])

    def result(self) -> Tensor:
        return self.values.div_(self.weights)


def ramp(length: int, overlap: int, span: Span, device: torch.device) -> Tensor:
    """1/overlap, 2/overlap, …, 1 from each inner end; where both ramps meet the later one counts."""
    weight = torch.ones(length, device=device)
    rise = torch.arange(1, overlap + 1, device=device) / overlap
    if not span.first:
        weight[:overlap] = rise[:length]
    if not span.last:
        weight[max(0, length - overlap) :] = rise.flip(0)[max(0, overlap - length) :]
    return weight
