"""Products of fp8 rows with an fp8 matrix that has a scale for each output channel."""

from __future__ import annotations

import logging
from functools import cache

import torch
from torch import Tensor

from wancore.kernels import product
from wancore.kernels.codes import FP8, Codes
from wancore.kernels.library import settled, switched_off

log = logging.getLogger(__name__)


def fp8_product(x: Codes, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """x [..., in] times codes [out, in] (an fp8 type) with scale [out, 1], plus bias [out]: in `x.dtype`."""
    if suits(x, codes):
        ours = product.suits(x, codes)
        return (product.product if ours else on_tensor_cores)(x, codes, scale, bias)
    return product.product_twin(x, codes, scale, bias)


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
