"""Small floats with a scale for every few columns: nvfp4 (16 columns) and mxfp8 (32).

Sources: Comfy-Org/comfy-kitchen and ModelTC/LightX2V (tensor layouts), OCP Microscaling Formats 1.0 (e8m0,
e2m1). ComfyUI's codes are stored with both axes rounded up to a multiple of the block; scales in the order
of swizzle.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wancore.quant.codes import CODES, E4M3, float_steps, to_float8
from wancore.quant.swizzle import padded_sizes, swizzled, unswizzled
from wancore.quant.weight import Weight

FP4_VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
FP4_LARGEST = 6.0
FP8_LARGEST = 448.0


def rounded_up(shape: tuple[int, ...], block: int) -> tuple[int, int]:
    rows, columns = shape
    return -(-rows // block) * block, -(-columns // block) * block


class Nvfp4Weight(Weight):
    """codes uint8 [R, C / 2], two e2m1 values a byte, the even column in the high nibble; in the low one, and
    rows without padding, where `low_first` (LightX2V).

    block_scale: uint8 bits of e4m3, one for 16 columns; scale: float32, for the whole matrix.
    """

    BLOCK = 16
    codes: Tensor
    block_scale: Tensor
    scale: Tensor

    def __init__(
        self,
        format: str,
        shape: tuple[int, ...],
        codes: Tensor,
        block_scale: Tensor,
        scale: Tensor,
        low_first: bool = False,
    ) -> None:
        """`shape`: without the padding. Raises `ValueError` where the parts do not belong together."""
        super().__init__(format, shape)
        self.low_first = low_first
        rows, columns = rounded_up(shape, self.BLOCK)
        self.padded = (shape[0] if low_first else rows), columns
        check_sizes(codes, (self.padded[0], self.padded[1] // 2), "codes")
        check_sizes(block_scale, padded_sizes(self.padded[0], self.padded[1] // self.BLOCK), "block scales")
        check_sizes(scale.reshape(1), (1,), "scale")
        self.register_buffer("codes", codes.view(torch.uint8))
        self.register_buffer("block_scale", block_scale.view(torch.uint8))
        self.register_buffer("scale", scale.float().reshape(1))

    def code_values(self) -> Tensor:
        """[R, C], e2m1."""
        table = torch.tensor(FP4_VALUES, device=self.device)
        table = torch.cat((table, -table))
        high, low = self.codes >> 4, self.codes & 15
        pair = (low, high) if self.low_first else (high, low)
        nibbles = torch.stack(pair, dim=-1).reshape(self.padded)
        return table[nibbles.int()]

    def element_scales(self) -> Tensor:
        """[R, C / 16, 1]."""
        rows, columns = self.padded
        scales = unswizzled(self.block_scale, rows, columns // self.BLOCK).contiguous()
        return (self.scale * scales.view(E4M3).float())[..., None]

    def scaled(self, elements: Tensor) -> Tensor:
        rows, columns = self.padded
        blocks = elements.reshape(rows, columns // self.BLOCK, self.BLOCK) * self.element_scales()
        return blocks.reshape(rows, columns)[: self.shape[0], : self.shape[1]]

    def values(self) -> Tensor:
        return self.scaled(self.code_values()).contiguous()

    def steps(self) -> Tensor:
        """The largest gap on either side of each value."""
        magnitude = self.code_values().abs()
        return self.scaled(torch.where(magnitude >= 4, 2.0, torch.where(magnitude >= 2, 1.0, 0.5)))

    def quantised(self, master: Tensor) -> Nvfp4Weight:
        blocks = blocked(master, self.padded, self.BLOCK)
        largest = blocks.abs().amax()
        scale = torch.where(largest > 0, largest / (FP4_LARGEST * FP8_LARGEST), torch.ones_like(largest))
        block_scale = to_float8(blocks.abs().amax(-1) / FP4_LARGEST / scale, E4M3)
        divisor = block_scale.float()[..., None] * scale
        codes = nearest_fp4(torch.where(divisor > 0, blocks / divisor, torch.zeros_like(blocks)))
        codes = codes.reshape(self.padded[0], -1, 2)
        high, low = (1, 0) if self.low_first else (0, 1)
        packed = codes[..., high] << 4 | codes[..., low]
        scales = swizzled(block_scale.view(torch.uint8))
        return Nvfp4Weight(self.format, self.shape, packed, scales, scale, self.low_first)


class Mxfp8Weight(Weight):
    """codes e4m3 [R, C]; block_scale: uint8 exponents (e8m0), one for 32 columns.

    Exponent e stands for 2^(e - 127), and 0 for a block of zeros.
    """

    BLOCK = 32
    codes: Tensor
    block_scale: Tensor

    def __init__(self, format: str, shape: tuple[int, ...], codes: Tensor, block_scale: Tensor) -> None:
        """`shape`: without the padding. Raises `ValueError` where the parts do not belong together."""
        super().__init__(format, shape)
        self.padded = rounded_up(shape, self.BLOCK)
        check_sizes(codes, self.padded, "codes")
        check_sizes(block_scale, padded_sizes(self.padded[0], self.padded[1] // self.BLOCK), "block scales")
        self.register_buffer("codes", codes.view(E4M3))
        self.register_buffer("block_scale", block_scale.view(torch.uint8))

    def element_scales(self) -> Tensor:
        """[R, C / 32, 1]."""
        rows, columns = self.padded
        exponents = unswizzled(self.block_scale, rows, columns // self.BLOCK).int()
        powers = torch.ldexp(torch.ones_like(exponents, dtype=torch.float32), exponents - 127)
        return torch.where(exponents == 0, torch.zeros_like(powers), powers)[..., None]

    def scaled(self, elements: Tensor) -> Tensor:
        rows, columns = self.padded
        blocks = elements.reshape(rows, columns // self.BLOCK, self.BLOCK) * self.element_scales()
        return blocks.reshape(rows, columns)[: self.shape[0], : self.shape[1]]

    def values(self) -> Tensor:
        return self.scaled(self.codes.float()).contiguous()

    def steps(self) -> Tensor:
        return self.scaled(float_steps(self.codes.float(), mantissa_bits=3, smallest_exponent=-6))

    def quantised(self, master: Tensor) -> Mxfp8Weight:
        blocks = blocked(master, self.padded, self.BLOCK)
        exponents = (blocks.abs().amax(-1) / FP8_LARGEST).log2().ceil().clamp(-126, 127)
        exponents = torch.where(torch.isfinite(exponents), exponents, torch.full_like(exponents, -126))
        codes = CODES[E4M3].rounded(torch.ldexp(blocks, -exponents[..., None].int())).reshape(self.padded)
        return Mxfp8Weight(self.format, self.shape, codes, swizzled((exponents + 127).to(torch.uint8)))


def check_sizes(tensor: Tensor, wanted: tuple[int, ...], what: str) -> None:
    if tuple(tensor.shape) != wanted:
        raise ValueError(f"{what} have shape {list(tensor.shape)}, not {list(wanted)}")


def blocked(master: Tensor, padded: tuple[int, int], block: int) -> Tensor:
    """[out, in] -> [R, C / block, block], zeros in the padding."""
    rows, columns = padded
    filled = F.pad(master, (0, columns - master.shape[1], 0, rows - master.shape[0]))
    return filled.reshape(rows, columns // block, block)


def nearest_fp4(values: Tensor) -> Tensor:
    """The e2m1 code nearest to each value, as uint8 in 0..15; what is out of range becomes the largest."""
    table = torch.tensor(FP4_VALUES, device=values.device)
    middles = (table[1:] + table[:-1]) / 2
    codes = torch.bucketize(values.abs(), middles).to(torch.uint8)
    return codes | (values < 0).to(torch.uint8) << 3
