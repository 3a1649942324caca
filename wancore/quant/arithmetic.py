"""Products with quantised activations: sums in float32, or on tensor cores where the GPU has them for it.

Each has the signature of `linear.Arithmetic`. A weight that it is not for is an error: ask `suits`.
LightX2V and vLLM scale each token and output channel; ComfyUI has a static scale, 1 where a file has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wancore.kernels.activation import quantise_rows
from wancore.kernels.codes import Codes
from wancore.kernels.fp8_product import fp8_product
from wancore.quant.codes import E4M3, E5M2, to_float8, to_int8
from wancore.quant.linear import Arithmetic, Linear, weight_only
from wancore.quant.scaled import ScaledWeight
from wancore.quant.weight import Weight

INT8_LARGEST = 127.0


def token_fp8(x: Tensor | Codes, weight: Weight, bias: Tensor | None) -> Tensor:
    """x in e4m3 with a scale per token (amax / 448), times an fp8 weight with a scale per output channel.

    On GPUs that multiply fp8 these are products in fp8; rows that come as codes stay as they are.
    """
    stored = cast(ScaledWeight, weight)
    rows = x if isinstance(x, Codes) else quantise_rows(x)
    return fp8_product(rows, stored.codes, row_scales(stored), bias)


def token_int8(x: Tensor, weight: Weight, bias: Tensor | None) -> Tensor:
    """x in int8 with a scale per token (amax / 127, ties to even), times an int8 weight with one per channel.

    Sums are of integers below 2^24 per 1000 columns; float32 rounds beyond that as the scaling would.
    """
    codes, scale = per_token(x, INT8_LARGEST)
    return scaled_product(x, to_int8(codes), scale, cast(ScaledWeight, weight), bias)


def static_fp8(x: Tensor, weight: Weight, bias: Tensor | None) -> Tensor:
    """x in e4m3 with the file's static scale, or unscaled: what is above 448 times it is cut off.

    For files that were calibrated so; otherwise `token_fp8` is nearer to the weight-only result.
    """
    stored = cast(ScaledWeight, weight)
    static = stored.activations.scale
    scale = torch.tensor(1.0 if static is None else static, device=x.device)
    return scaled_product(x, to_float8(x.float() / scale, E4M3), scale, stored, bias)


def per_token(x: Tensor, largest: float) -> tuple[Tensor, Tensor]:
    """x [..., in] -> (x / scale, scale [..., 1]); a row of zeros has the scale 1."""
    scale = x.float().abs().amax(-1, keepdim=True) / largest
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return x.float() / scale, scale


def scaled_product(
    x: Tensor, codes: Tensor, scale: Tensor, weight: ScaledWeight, bias: Tensor | None
) -> Tensor:
    """codes [..., in] times the weight's codes, then both scales, then the bias, in the dtype of `x`."""
    product = F.linear(codes.float(), weight.codes.float()) * scale * row_scales(weight)[:, 0]
    return (product if bias is None else product + bias.float()).to(x.dtype)


def row_scales(weight: ScaledWeight) -> Tensor:
    """[out, 1]. Raises `ValueError` where the scales are finer than rows."""
    rows = weight.row_scales
    if rows is None:
        raise ValueError(f"{weight.format}: its scales are finer than output channels")
    return rows


@dataclass(frozen=True)
class Mode:
    """`arithmetic` computes layers whose weight `suits`."""

    arithmetic: Arithmetic
    suits: Callable[[Weight], bool]


def rowwise(*dtypes: torch.dtype) -> Callable[[Weight], bool]:
    """Weights with codes of these dtypes, and no scale finer than a row."""
    return lambda weight: (
        isinstance(weight, ScaledWeight)
        and weight.codes.dtype in dtypes
        and weight.row_scales is not None
        and not weight.activations.full_precision
    )


MODES: dict[str, Mode] = {
    "weight-only": Mode(weight_only, lambda weight: True),
    "fp8-token": Mode(token_fp8, rowwise(E4M3, E5M2)),
    "fp8-static": Mode(static_fp8, rowwise(E4M3, E5M2)),
    "int8-token": Mode(token_int8, rowwise(torch.int8)),
}


def compute_in(module: nn.Module, mode: str, only: Callable[[str], bool] = lambda name: True) -> list[str]:
    """Sets how the quantised layers of `module` are computed; those that `mode` does not suit keep theirs.

    `only`: which layers to change, by name. Returns the names of the layers changed. Raises `ValueError`
    for a mode that is none of `MODES`.
    """
    if mode not in MODES:
        raise ValueError(f"arithmetic {mode!r}; accepted: {', '.join(MODES)}")
    chosen, changed = MODES[mode], []
    for name, layer in module.named_modules():
        if isinstance(layer, Linear) and only(name) and chosen.suits(layer.weight):
            layer.arithmetic = chosen.arithmetic
            changed.append(name)
    return changed
