"""GGUF's K-quants and IQ4_XS: 256 values with a scale for each 16 or 32 of them, itself quantised.

Layouts: ggml-org/llama.cpp, `ggml-common.h`. Packing rounds every scale up, so that no value is cut off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.quant.ggml import GgmlType, Unpacked
from wancore.quant.ggml_bits import bits, from_bits, from_halves, from_nibbles, halves, nibbles
from wancore.quant.ggml_legacy import IQ4_TABLE, covering, divided, iq4_gaps, iq4_values, nearest_iq4

BLOCK = 256


def grouped(values: Tensor, size: int) -> Tensor:
    """[n, 256] -> [n, 256 / size, size]."""
    return values.unflatten(1, (-1, size))


def rounded_up(values: Tensor, unit: Tensor, largest: int) -> Tensor:
    """The whole multiples of `unit` [n, 1] that reach `values` [n, k] >= 0, at most `largest`."""
    return divided(values, unit).sub(1e-4).ceil().clamp(0, largest)


def signed_up(values: Tensor, unit: Tensor, largest: int) -> Tensor:
    return rounded_up(values.abs(), unit, largest) * values.sign()


class MinScaled(GgmlType):
    """Types with a scale and a minimum for each group: value = (d sc) * code - (dmin m)."""

    elements = BLOCK

    def __init__(self, name: str, size: int, group: int, code_bits: int, scale_bits: int) -> None:
        self.name, self.size, self.group = name, size, group
        self.largest_code, self.largest_scale = (1 << code_bits) - 1, (1 << scale_bits) - 1
        self.high_bits = code_bits == 5

    def parts(self, blocks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(codes [n, 256], scales [n, k], minima [n, k], d and dmin [n, 2])."""
        d, packed = blocks[:, :4], blocks[:, 4:16]
        if self.high_bits:
            high = bits(blocks[:, 16:48], 1).flatten(1)
            codes = grouped(blocks[:, 48:], 32)
        else:
            high, codes = None, grouped(blocks[:, 16:], 32)
        low = nibbles(codes).flatten(1)
        scales, minima = six_bit_pairs(packed)
        return low if high is None else low | high << 4, scales, minima, halves(d)

    def unpack(self, blocks: Tensor) -> Unpacked:
        codes, scales, minima, d = self.parts(blocks)
        spread = (d[:, :1] * scales).repeat_interleave(self.group, 1)
        offset = (d[:, 1:] * minima).repeat_interleave(self.group, 1)
        return Unpacked(codes.float(), spread, offset)

    def pack(self, values: Tensor) -> Tensor:
        groups = grouped(values, self.group)
        depth = (-groups.amin(-1)).clamp_min(0)
        dmin = from_halves(depth.amax(-1, keepdim=True) / self.largest_scale)
        minima = rounded_up(depth, halves(dmin), self.largest_scale)
        lifted = groups + (halves(dmin) * minima)[..., None]
        height = lifted.amax(-1).clamp_min(0) / self.largest_code
        d = from_halves(height.amax(-1, keepdim=True) / self.largest_scale)
        scales = rounded_up(height, halves(d), self.largest_scale)
        codes = divided(lifted, (halves(d) * scales)[..., None]).round().clamp(0, self.largest_code)
        return self.joined(codes.flatten(1).to(torch.uint8), scales, minima, torch.cat((d, dmin), 1))

    def joined(self, codes: Tensor, scales: Tensor, minima: Tensor, d: Tensor) -> Tensor:
        low = from_nibbles((codes & 15).unflatten(1, (4, 64))).flatten(1)
        high = [from_bits(grouped(codes >> 4, 32), 1)] if self.high_bits else []
        return torch.cat([d, from_six_bit_pairs(scales, minima), *high, low], dim=1)


class Q2K(MinScaled):
    """scales[16], 4 bits of scale and 4 of minimum | qs[64], 2 bits | d | dmin."""

    def __init__(self) -> None:
        super().__init__("Q2_K", 84, group=16, code_bits=2, scale_bits=4)

    def parts(self, blocks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        packed = blocks[:, :16]
        return two_bit_codes(blocks[:, 16:80]), packed & 15, packed >> 4, halves(blocks[:, 80:])

    def joined(self, codes: Tensor, scales: Tensor, minima: Tensor, d: Tensor) -> Tensor:
        packed = scales.to(torch.uint8) | minima.to(torch.uint8) << 4
        return torch.cat((packed, from_two_bit_codes(codes), d), dim=1)


class Q3K(GgmlType):
    """hmask[32] | qs[64], 2 bits | scales[12], 16 of 6 bits | d; value (d s) * code, code -4..3."""

    name, elements, size = "Q3_K", BLOCK, 110

    def unpack(self, blocks: Tensor) -> Unpacked:
        high = bits(blocks[:, :32], 1).flatten(1)
        codes = two_bit_codes(blocks[:, 32:96]).float() - 4 * (1 - high.float())
        scales = q3_scales(blocks[:, 96:108])
        return Unpacked(codes, (halves(blocks[:, 108:]) * scales).repeat_interleave(16, 1))

    def pack(self, values: Tensor) -> Tensor:
        groups = grouped(values, 16)
        wanted = covering(groups, -4, 3).squeeze(-1)
        d = from_halves(wanted.abs().amax(-1, keepdim=True) / 31)
        scales = signed_up(wanted, halves(d), 31)
        codes = divided(groups, (halves(d) * scales)[..., None]).round().clamp(-4, 3).flatten(1) + 4
        whole = codes.to(torch.uint8)
        mask = from_bits(grouped(whole >> 2, 32), 1)
        return torch.cat((mask, from_two_bit_codes(whole & 3), from_q3_scales(scales), d), dim=1)


class Q6K(GgmlType):
    """ql[128] | qh[64] | scales int8[16] | d; value (d s) * (code - 32)."""

    name, elements, size = "Q6_K", BLOCK, 210

    def unpack(self, blocks: Tensor) -> Unpacked:
        low = nibbles(blocks[:, :128].unflatten(1, (2, 64))).flatten(1)
        codes = low | two_bit_codes(blocks[:, 128:192]) << 4
        scales = blocks[:, 192:208].contiguous().view(torch.int8).float()
        spread = (halves(blocks[:, 208:]) * scales).repeat_interleave(16, 1)
        return Unpacked(codes.float() - 32, spread)

    def pack(self, values: Tensor) -> Tensor:
        groups = grouped(values, 16)
        wanted = covering(groups, -32, 31).squeeze(-1)
        d = from_halves(wanted.abs().amax(-1, keepdim=True) / 127)
        scales = signed_up(wanted, halves(d), 127)
        codes = divided(groups, (halves(d) * scales)[..., None]).round().clamp(-32, 31).flatten(1) + 32
        whole = codes.to(torch.uint8)
        low = from_nibbles((whole & 15).unflatten(1, (2, 128))).flatten(1)
        return torch.cat(
            (low, from_two_bit_codes(whole >> 4), scales.to(torch.int8).view(torch.uint8), d), dim=1
        )


class Iq4Xs(GgmlType):
    """d | scales_h, 16 bits | scales_l[4] | qs[128]; value (d (s - 32)) * table[code], 8 groups of 32."""

    name, elements, size = "IQ4_XS", BLOCK, 136

    def unpack(self, blocks: Tensor) -> Unpacked:
        high = bits(blocks[:, 2:4], 2).transpose(1, 2).flatten(1)
        low = torch.stack((blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4), dim=-1).flatten(1)
        scales = (low | high << 4).float() - 32
        codes = nibbles(blocks[:, 8:].unflatten(1, (8, 16))).flatten(1)
        return Unpacked(iq4_values(codes), (halves(blocks[:, :2]) * scales).repeat_interleave(32, 1))

    def pack(self, values: Tensor) -> Tensor:
        groups = grouped(values, 32)
        wanted = covering(groups, IQ4_TABLE[0], IQ4_TABLE[-1]).squeeze(-1)
        d = from_halves(wanted.abs().amax(-1, keepdim=True) / 31)
        scales = signed_up(wanted, halves(d), 31)
        codes = from_nibbles(nearest_iq4(divided(groups, (halves(d) * scales)[..., None]))).flatten(1)
        stored = (scales + 32).to(torch.uint8)
        high = from_bits((stored >> 4).unflatten(1, (2, 4)).transpose(1, 2), 2)
        low = stored[:, 0::2] & 15 | stored[:, 1::2] << 4
        return torch.cat((d, high, low, codes), dim=1)

    def gaps(self, code: Tensor) -> Tensor:
        return iq4_gaps(code)


def two_bit_codes(raw: Tensor) -> Tensor:
    """uint8 [n, 64] -> [n, 256]: each half of 128 is four planes of 32."""
    return bits(raw.reshape(-1, 32), 2).reshape(len(raw), BLOCK)


def from_two_bit_codes(codes: Tensor) -> Tensor:
    return from_bits(codes.reshape(-1, 4, 32), 2).reshape(len(codes), 64)


def six_bit_pairs(raw: Tensor) -> tuple[Tensor, Tensor]:
    """scales[12] -> 8 scales and 8 minima of 6 bits."""
    first, second, third = raw[:, 0:4], raw[:, 4:8], raw[:, 8:12]
    scales = torch.cat((first & 63, third & 15 | first >> 6 << 4), dim=1)
    minima = torch.cat((second & 63, third >> 4 | second >> 6 << 4), dim=1)
    return scales, minima


def from_six_bit_pairs(scales: Tensor, minima: Tensor) -> Tensor:
    s, m = scales.to(torch.uint8), minima.to(torch.uint8)
    first, second = (x[:, :4] | x[:, 4:] >> 4 << 6 for x in (s, m))
    return torch.cat((first, second, s[:, 4:] & 15 | (m[:, 4:] & 15) << 4), dim=1)


def q3_scales(raw: Tensor) -> Tensor:
    """scales[12] -> 16 of 6 bits, less 32."""
    high = bits(raw[:, 8:12], 2).flatten(1)
    return (nibbles(raw[:, :8]) | high << 4).float() - 32


def from_q3_scales(scales: Tensor) -> Tensor:
    stored = (scales + 32).to(torch.uint8)
    return torch.cat((from_nibbles(stored & 15), from_bits((stored >> 4).unflatten(1, (4, 4)), 2)), dim=1)
