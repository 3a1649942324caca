"""One weight of every format, made from a matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.quant.blockfloat import Mxfp8Weight, Nvfp4Weight
from wancore.quant.codebook import GroupedInt4Weight
from wancore.quant.codes import E4M3, E5M2
from wancore.quant.ggml import GgmlWeight
from wancore.quant.ggml_types import GGML_TYPES
from wancore.quant.int4 import Int4Weight
from wancore.quant.rotated import RotatedWeight
from wancore.quant.scaled import ScaledWeight
from wancore.quant.swizzle import padded_sizes
from wancore.quant.weight import Weight

ROWS, COLUMNS = 24, 256  # columns: whole blocks of every GGUF type
SCALES: dict[str, tuple[int, ...]] = {
    "one": (),
    "channel": (ROWS, 1),
    "block": (1, 2),
    "columns": (ROWS, 4, 1),
}
FORMATS = (
    *("fp8 plain", "fp8 e5m2 one", "fp8 one", "fp8 channel", "fp8 block", "fp8 columns", "int8 one"),
    *("int8 channel", "int8 rotated", "int4 rotated", "nvfp4", "nvfp4 low first", "mxfp8"),
    *("int4 zeros", "int4 codebook"),
    *GGML_TYPES,
)


def empty(name: str, rows: int = ROWS, columns: int = COLUMNS) -> Weight:
    """A weight of a format that holds nothing in particular."""
    if name in GGML_TYPES:
        kind = GGML_TYPES[name]
        blocks = torch.zeros(rows * columns // kind.elements, kind.size, dtype=torch.uint8)
        return GgmlWeight(name, kind, blocks, (rows, columns))
    if name == "nvfp4":
        high, wide = -(-rows // 16) * 16, -(-columns // 16) * 16
        scales = torch.zeros(padded_sizes(high, wide // 16), dtype=torch.uint8)
        codes = torch.zeros(high, wide // 2, dtype=torch.uint8)
        return Nvfp4Weight(name, (rows, columns), codes, scales, torch.ones(()))
    if name == "nvfp4 low first":
        scales = torch.zeros(padded_sizes(rows, columns // 16), dtype=torch.uint8)
        codes = torch.zeros(rows, columns // 2, dtype=torch.uint8)
        return Nvfp4Weight(name, (rows, columns), codes, scales, torch.ones(()), low_first=True)
    if name in ("int4 zeros", "int4 codebook"):
        codes = torch.zeros(rows, columns // 2, dtype=torch.uint8)
        if name == "int4 zeros":
            ones = torch.ones(rows, columns // 64).bfloat16()
            return GroupedInt4Weight(name, codes, ones, offset=ones.clone())
        levels = torch.linspace(-1, 1, 16).sign() * torch.linspace(-1, 1, 16).abs() ** 1.3
        scale = torch.ones(rows, columns // 16).to(E4M3)
        grouped = GroupedInt4Weight(name, codes, scale, channel=torch.ones(rows), levels=levels)
        return RotatedWeight(grouped, group=64)
    if name == "mxfp8":
        high, wide = -(-rows // 32) * 32, -(-columns // 32) * 32
        scales = torch.zeros(padded_sizes(high, wide // 32), dtype=torch.uint8)
        return Mxfp8Weight(name, (rows, columns), torch.zeros(high, wide, dtype=E4M3), scales)
    if name == "int4 rotated":
        packed = torch.zeros(rows, columns // 2, dtype=torch.uint8)
        return RotatedWeight(Int4Weight(name, packed, torch.ones(rows)), group=64)
    codes_name, *_, scale_name = name.split()
    dtype = torch.int8 if codes_name == "int8" else E5M2 if "e5m2" in name else E4M3
    codes = torch.zeros(rows, columns).to(dtype)
    if scale_name == "plain":
        return ScaledWeight(name, codes)
    if scale_name == "rotated":
        return RotatedWeight(ScaledWeight(name, codes, torch.ones(rows, 1)), group=64)
    return ScaledWeight(name, codes, torch.ones(SCALES[scale_name]))


def holding(name: str, master: Tensor) -> Weight:
    """`master` [rows, columns] in a format."""
    return empty(name, *master.shape).quantised(master)


def matrix(seed: int = 0, scale: float = 0.05) -> Tensor:
    """Weights as trained ones are: mostly small, a few large."""
    drawn = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed))
    return drawn * drawn.abs() * scale
