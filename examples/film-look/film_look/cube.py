"""Colour tables in the .cube format (Adobe, Cube LUT Specification 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

SIZES = range(2, 129)


@dataclass(frozen=True)
class Cube:
    """`table` [3, N, N, N]: the colour for each level of blue, green and red (red changes fastest).

    `low`, `high`: the colours of its first and last levels. All colours are 0..1.
    """

    table: Tensor
    low: Tensor
    high: Tensor

    def __call__(self, frames: Tensor, amount: float = 1.0) -> Tensor:
        """frames [3, n, H, W] in [-1, 1] -> the same, `amount` (0..1) of the way to the table's colours."""
        low, high = (c.to(frames)[:, None, None, None] for c in (self.low, self.high))
        place = 2 * ((frames + 1) / 2 - low) / (high - low) - 1
        looked_up = F.grid_sample(
            self.table.to(frames)[None], place.movedim(0, -1)[None], padding_mode="border", align_corners=True
        )[0]
        return torch.lerp(frames, 2 * looked_up - 1, amount)


def read_cube(path: Path) -> Cube:
    """Raises `ValueError` that names the line, where there is one."""
    size, low, high = 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    colours: list[tuple[float, ...]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        word, *rest = line.split("#")[0].split() or [""]
        if word in ("", "TITLE"):
            continue
        if word == "LUT_3D_SIZE" and len(rest) == 1 and rest[0].isdigit():
            size = int(rest[0])
        elif word == "DOMAIN_MIN":
            low = triple(rest, number)
        elif word == "DOMAIN_MAX":
            high = triple(rest, number)
        else:
            colours.append(triple([word, *rest], number))
    if size not in SIZES:
        raise ValueError(f"LUT_3D_SIZE is {size or 'missing'}; 2 to 128 can be read")
    if len(colours) != size**3:
        raise ValueError(f"has {len(colours)} colours; a table of size {size} has {size**3}")
    if not all(a < b for a, b in zip(low, high, strict=True)):
        raise ValueError(f"DOMAIN_MIN {low} is not below DOMAIN_MAX {high}")
    table = torch.tensor(colours).T.reshape(3, size, size, size)
    return Cube(table, torch.tensor(low), torch.tensor(high))


def triple(words: list[str], number: int) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(word) for word in words)
    except ValueError:
        raise ValueError(f"line {number}: expected three numbers, found {' '.join(words)[:60]!r}") from None
    if not all(map(isfinite, (red, green, blue))):
        raise ValueError(f"line {number}: a colour is not finite")
    return red, green, blue
