"""The simple GGUF types: 32 values with one half-precision scale, and a minimum for the `_1` types.

Layouts: ggml-org/llama.cpp, `ggml-common.h`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.quant.ggml import GgmlType, Unpacked
from wancore.quant.ggml_bits import (
    from_halves,
    from_nibbles,
    from_single_bits,
    halves,
    nibbles,
    single_bits,
)

IQ4_TABLE = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


def covering(values: Tensor, low: float, high: float) -> Tensor:
    """The scale of least magnitude, of either sign, with all of `values` [..., k] in scale * [low, high]."""
    top, bottom = values.amax(-1, keepdim=True), values.amin(-1, keepdim=True)
    upright = torch.maximum(top / high, bottom / low)
    reversed_ = torch.maximum(top / -low, bottom / -high)
    return torch.where(upright <= reversed_, upright, -reversed_)


def divided(values: Tensor, scale: Tensor) -> Tensor:
    """values / scale, 0 where the scale is 0."""
    return torch.where(scale != 0, values / torch.where(scale != 0, scale, 1.0), 0.0)


class Q8(GgmlType):
    """d | int8[32]."""

    name, elements, size = "Q8_0", 32, 34

    def unpack(self, blocks: Tensor) -> Unpacked:
        return Unpacked(blocks[:, 2:].contiguous().view(torch.int8).float(), halves(blocks[:, :2]))

    def pack(self, values: Tensor) -> Tensor:
        d = from_halves(values.abs().amax(-1, keepdim=True) / 127)
        codes = divided(values, halves(d)).round().clamp(-127, 127).to(torch.int8)
        return torch.cat((d, codes.view(torch.uint8)), dim=1)


class Symmetric(GgmlType):
    """d | [one high bit each, 4 bytes] | 16 bytes of nibbles; value d * (code - half)."""

    elements = 32

    def __init__(self, name: str, width: int) -> None:
        self.name, self.width = name, width
        self.half = 1 << (width - 1)
        self.size = 2 + 16 + (4 if width == 5 else 0)

    def unpack(self, blocks: Tensor) -> Unpacked:
        return Unpacked(packed_codes(blocks[:, 2:]).float() - self.half, halves(blocks[:, :2]))

    def pack(self, values: Tensor) -> Tensor:
        d = from_halves(covering(values, -self.half, self.half - 1))
        codes = divided(values, halves(d)).round() + self.half
        return torch.cat((d, packed_bytes(codes.clamp(0, 2 * self.half - 1), self.width)), dim=1)


class Affine(GgmlType):
    """d | m | [one high bit each, 4 bytes] | 16 bytes of nibbles; value d * code + m."""

    elements = 32

    def __init__(self, name: str, width: int) -> None:
        self.name, self.width = name, width
        self.size = 4 + 16 + (4 if width == 5 else 0)

    def unpack(self, blocks: Tensor) -> Unpacked:
        scales = halves(blocks[:, :4])
        return Unpacked(packed_codes(blocks[:, 4:]).float(), scales[:, :1], -scales[:, 1:])

    def pack(self, values: Tensor) -> Tensor:
        largest = (1 << self.width) - 1
        low = from_halves(values.amin(-1, keepdim=True))
        above = values - halves(low)
        d = from_halves(above.amax(-1, keepdim=True).clamp_min(0) / largest)
        codes = divided(above, halves(d)).round().clamp(0, largest)
        return torch.cat((d, low, packed_bytes(codes, self.width)), dim=1)


class Iq4Nl(GgmlType):
    """d | 16 bytes of nibbles; value d * table[code]."""

    name, elements, size = "IQ4_NL", 32, 18

    def unpack(self, blocks: Tensor) -> Unpacked:
        return Unpacked(iq4_values(nibbles(blocks[:, 2:])), halves(blocks[:, :2]))

    def pack(self, values: Tensor) -> Tensor:
        d = from_halves(covering(values, IQ4_TABLE[0], IQ4_TABLE[-1]))
        return torch.cat((d, from_nibbles(nearest_iq4(divided(values, halves(d))))), dim=1)

    def gaps(self, code: Tensor) -> Tensor:
        return iq4_gaps(code)


def iq4_values(codes: Tensor) -> Tensor:
    return torch.tensor(IQ4_TABLE, dtype=torch.float32, device=codes.device)[codes.int()]


def nearest_iq4(values: Tensor) -> Tensor:
    table = torch.tensor(IQ4_TABLE, dtype=torch.float32, device=values.device)
    return torch.bucketize(values, (table[1:] + table[:-1]) / 2).to(torch.uint8)


def iq4_gaps(values: Tensor) -> Tensor:
    """The larger gap on either side of each table value."""
    table = torch.tensor(IQ4_TABLE, dtype=torch.float32, device=values.device)
    gaps = table.diff()
    wider = torch.cat((gaps[:1], torch.maximum(gaps[1:], gaps[:-1]), gaps[-1:]))
    return wider[torch.bucketize(values, table)]


def packed_codes(raw: Tensor) -> Tensor:
    """[4 bytes of fifth bits and] 16 bytes of nibbles -> [n, 32] codes."""
    codes = nibbles(raw[:, -16:])
    return codes if raw.shape[1] == 16 else codes | single_bits(raw[:, :4]) << 4


def packed_bytes(codes: Tensor, width: int) -> Tensor:
    whole = codes.to(torch.uint8)
    low = from_nibbles(whole & 15)
    return low if width == 4 else torch.cat((from_single_bits(whole >> 4), low), dim=1)
