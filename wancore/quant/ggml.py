"""GGUF weights: blocks of bytes along each row, each with its own scales (llama.cpp's quantised types).

A type unpacks its blocks to codes, scales and offsets, value = scale * code - offset, in float32: every
product of a half-precision scale with its small integers is exact, so results are those of llama.cpp bit
for bit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.quant.weight import Weight

CHUNK = 1 << 22  # elements that are unpacked at a time: bounds what dequantising takes on top of its result


@dataclass(frozen=True)
class Unpacked:
    """code, scale, offset [n, elements of a block] (or broadcastable); value = scale * code - offset."""

    code: Tensor
    scale: Tensor
    offset: Tensor | None = None

    @property
    def values(self) -> Tensor:
        values = self.scale * self.code
        return values if self.offset is None else values - self.offset


class GgmlType(ABC):
    """`elements` values in `size` bytes."""

    name: str
    elements: int
    size: int

    @abstractmethod
    def unpack(self, blocks: Tensor) -> Unpacked:
        """blocks uint8 [n, size] -> codes and scales of n * elements values."""

    @abstractmethod
    def pack(self, values: Tensor) -> Tensor:
        """values float32 [n, elements] -> blocks uint8 [n, size] that hold them within a step."""

    def gaps(self, code: Tensor) -> Tensor:
        """The distance between neighbouring codes at each code."""
        return torch.ones_like(code)


class GgmlWeight(Weight):
    """blocks uint8 [n, bytes of a block], row after row."""

    blocks: Tensor

    def __init__(self, format: str, kind: GgmlType, blocks: Tensor, shape: tuple[int, ...]) -> None:
        """Raises `ValueError` where `blocks` do not make up `shape`."""
        super().__init__(format, shape)
        self.kind = kind
        count = math.prod(shape) // kind.elements
        if math.prod(shape) % kind.elements or blocks.numel() != count * kind.size:
            raise ValueError(f"{blocks.numel()} bytes of {kind.name} do not hold {list(shape)}")
        self.register_buffer("blocks", blocks.reshape(count, kind.size))

    def values(self) -> Tensor:
        return self.dequantised(torch.float32)

    def dequantised(self, dtype: torch.dtype = torch.float32) -> Tensor:
        out = torch.empty(len(self.blocks), self.kind.elements, dtype=dtype, device=self.device)
        step = max(1, CHUNK // self.kind.elements)
        for first in range(0, len(self.blocks), step):
            part = slice(first, first + step)
            out[part] = self.kind.unpack(self.blocks[part]).values
        return out.reshape(self.shape)

    def steps(self) -> Tensor:
        unpacked = self.kind.unpack(self.blocks)
        steps = (unpacked.scale * self.kind.gaps(unpacked.code)).abs()
        return steps.reshape(self.shape)

    def quantised(self, master: Tensor) -> GgmlWeight:
        blocks = self.kind.pack(master.reshape(-1, self.kind.elements))
        return GgmlWeight(self.format, self.kind, blocks, self.shape)

    def rows(self, start: int, end: int) -> GgmlWeight:
        width = math.prod(self.shape[1:])
        if width % self.kind.elements:
            raise ValueError(f"{self.kind.name} blocks run over the ends of its rows")
        count = width // self.kind.elements
        blocks = self.blocks[start * count : end * count]
        return GgmlWeight(self.format, self.kind, blocks, (end - start, *self.shape[1:]))
