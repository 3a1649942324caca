"""Signed 4-bit integers with a scale for each output channel (the weights of ComfyUI's `convrot_w4a4`).

Source: Comfy-Org/comfy-kitchen: two values a byte, the even column in the low nibble, two's complement.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.quant.weight import Weight

LARGEST = 7  # -8 exists and is not used


class Int4Weight(Weight):
    """codes uint8 [out, in / 2]; scale float32 [out, 1]."""

    codes: Tensor
    scale: Tensor

    def __init__(self, format: str, codes: Tensor, scale: Tensor) -> None:
        """Raises `ValueError` where the parts do not belong together."""
        rows, packed = codes.shape
        super().__init__(format, (rows, 2 * packed))
        if scale.numel() != rows:
            raise ValueError(f"scales of shape {list(scale.shape)} are not one for each of {rows} rows")
        self.register_buffer("codes", codes.view(torch.uint8))
        self.register_buffer("scale", scale.float().reshape(rows, 1))

    def values(self) -> Tensor:
        nibbles = torch.stack((self.codes & 15, self.codes >> 4), dim=-1).flatten(1).to(torch.int8)
        return torch.where(nibbles > LARGEST, nibbles - 16, nibbles).float() * self.scale

    def steps(self) -> Tensor:
        return self.scale

    def quantised(self, master: Tensor) -> Int4Weight:
        largest = master.abs().amax(1, keepdim=True)
        scale = torch.where(largest > 0, largest / LARGEST, torch.ones_like(largest))
        codes = (master / scale).round().clamp(-LARGEST, LARGEST).to(torch.int8).view(torch.uint8) & 15
        return Int4Weight(self.format, codes[:, 0::2] | codes[:, 1::2] << 4, scale)

    def rows(self, start: int, end: int) -> Int4Weight:
        return Int4Weight(self.format, self.codes[start:end], self.scale[start:end])
