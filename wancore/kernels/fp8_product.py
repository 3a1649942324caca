"""Products of fp8 rows with an fp8 matrix that has a scale for each output channel."""

from __future__ import annotations

import logging
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from wancore.kernels.codes import FP8, Codes, wide
from wancore.kernels.library import settled, switched_off
from wancore.kernels.register import register
from wancore.kernels.sources import HOPPER, KERNELS, on_device

log = logging.getLogger(__name__)
#: Results from which the tiles of our kernel (256 x 256 for two processors) give every processor work.
LARGE = 66 * 256 * 256


def fp8_product(x: Codes, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """x [..., in] times codes [out, in] (an fp8 type) with scale [out, 1], plus bias [out]: in `x.dtype`."""
    if suits(x, codes):
        return (in_large_tiles if large(x, codes) else on_tensor_cores)(x, codes, scale, bias)
    return fp8_product_twin(x, codes, scale, bias)


def fp8_product_twin(x: Codes, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """Sums in float32, both scales after them, then the bias."""
    product = F.linear(wide(x.codes), wide(codes)) * x.scale * scale[:, 0]
    return (product if bias is None else product + bias.float()).to(x.dtype)


def on_tensor_cores(x: Codes, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    out = torch._scaled_mm(
        x.codes.flatten(0, -2),
        codes.t(),
        scale_a=x.scale.flatten(0, -2),
        scale_b=scale.t(),
        bias=None if bias is None else bias.to(x.dtype),
        out_dtype=x.dtype,
        use_fast_accum=True,
    )
    return out.view(*x.codes.shape[:-1], len(codes))


def in_large_tiles(x: Codes, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    rows = x.codes.flatten(0, -2)
    bias = None if bias is None else bias.detach().to(x.dtype)
    out: Tensor = OPERATOR(rows, x.scale.flatten(0, -2), codes, scale, bias)
    return out.view(*x.codes.shape[:-1], len(codes))


def large(x: Codes, codes: Tensor) -> bool:
    """Whether our kernel computes these: on Hopper, where there is enough work for its large tiles."""
    return x.codes.numel() // codes.shape[1] * len(codes) >= LARGE and on_hopper(x.codes.device.index or 0)


@settled
@cache
def on_hopper(index: int) -> bool:
    return torch.cuda.get_device_capability(index) == HOPPER and on_device(index)


def suits(x: Codes, codes: Tensor) -> bool:
    """Whether the GPU multiplies these as they are: e4m3 on both sides, bfloat16 out, sizes in sixteens."""
    return (
        x.codes.is_cuda
        and x.dtype == torch.bfloat16
        and codes.dtype == FP8
        and not any(size % 16 for size in codes.shape)
        and not switched_off()
        and row_wise(x.codes.device.index or 0)
    )


@settled
@cache
def row_wise(index: int = 0) -> bool:
    """Whether this GPU and this PyTorch can scale rows: tried once, since it depends on both."""
    device = torch.device("cuda", index)
    if torch.cuda.get_device_capability(device) < (8, 9):
        return False
    ones = torch.ones(16, 16, device=device).to(FP8)
    scale = torch.ones(16, 1, device=device)
    try:
        on_tensor_cores(Codes(ones, scale, torch.bfloat16), ones, scale, None)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        log.warning("fp8 products: row-wise scales are not available, computing in float32 (%s)", reason)
        return False
    return True


def on_gpu(x: Tensor, x_scale: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    given = [None if t is None else t.contiguous() for t in (x, x_scale, codes, scale, bias)]
    out = result(x, x_scale, codes, scale, bias)
    KERNELS.call("wancore_fp8_product", x.device, *given, out, len(x), len(codes), codes.shape[1])
    return out


def result(x: Tensor, x_scale: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(len(x), len(codes), dtype=torch.bfloat16)


OPERATOR = register(
    "fp8_product(Tensor x, Tensor x_scale, Tensor codes, Tensor scale, Tensor? bias) -> Tensor",
    on_gpu,
    result,
)
