"""Products on Hopper's tensor cores that can carry a low-rank branch, which then makes no trip of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from wancore.kernels.codes import FP8, Codes, wide
from wancore.kernels.library import settled, switched_off
from wancore.kernels.register import register, rows_of_vectors
from wancore.kernels.sources import HOPPER, KERNELS, on_device

#: Results from which the tiles (256 x 256 for two processors) give every processor work.
LARGE = 66 * 256 * 256


@dataclass(frozen=True)
class Factors:
    """What a branch adds to a product: h [..., R], strengths applied, times up [out, R] transposed."""

    h: Tensor
    up: Tensor


def product(
    x: Tensor | Codes,
    weight: Tensor,
    scale: Tensor | None,
    bias: Tensor | None,
    branch: Factors | None = None,
    *,
    gelu: bool = False,
) -> Tensor:
    """x [..., in] times weight [out, in], plus the branch, plus bias [out]; then GELU (tanh) if `gelu`.

    Both are bfloat16, or codes with scales of their rows, `scale` [out, 1]; in codes there is no GELU.
    Sums are in float32, rounded once to bfloat16. For what `suits`.
    """
    rows = x.codes if isinstance(x, Codes) else x
    given = (
        rows.flatten(0, -2),
        x.scale.flatten(0, -2) if isinstance(x, Codes) else None,
        weight.detach(),
        scale,
        None if bias is None else bias.detach().bfloat16(),
        None if branch is None else branch.h.flatten(0, -2),
        None if branch is None else branch.up,
    )
    out: Tensor = OPERATOR(*given, gelu)
    return out.view(*rows.shape[:-1], len(weight))


def product_twin(
    x: Tensor | Codes,
    weight: Tensor,
    scale: Tensor | None,
    bias: Tensor | None,
    branch: Factors | None = None,
    *,
    gelu: bool = False,
) -> Tensor:
    """Takes every type, and gives that of `x`."""
    out = F.linear(wide(x.codes if isinstance(x, Codes) else x), wide(weight))
    if isinstance(x, Codes):
        out = out * x.scale
    if scale is not None:
        out = out * scale[:, 0]
    if branch is not None:
        out = out + F.linear(wide(branch.h), wide(branch.up))
    if bias is not None:
        out = out + wide(bias)
    return (F.gelu(out, approximate="tanh") if gelu else out).to(x.dtype)


def suits(x: Tensor | Codes, weight: Tensor, rank: int = 0) -> bool:
    """Whether the kernel computes these: on Hopper, enough work for its tiles, in sizes that it can copy."""
    rows = x.codes if isinstance(x, Codes) else x
    wanted = FP8 if isinstance(x, Codes) else torch.bfloat16
    return (
        rows.is_cuda
        and x.dtype == torch.bfloat16
        and rows.dtype == weight.dtype == wanted
        and rows.numel() // rows.shape[-1] * len(weight) >= LARGE
        and not len(weight) % 16
        and not rows.shape[-1] * rows.element_size() % 16
        and not rank % 8
        and rows_of_vectors(rows, weight)
        and not switched_off()
        and on_hopper(rows.device.index or 0)
    )


@settled
@cache
def on_hopper(index: int) -> bool:
    return torch.cuda.get_device_capability(index) == HOPPER and on_device(index)


def on_gpu(
    x: Tensor,
    x_scale: Tensor | None,
    weight: Tensor,
    scale: Tensor | None,
    bias: Tensor | None,
    h: Tensor | None,
    up: Tensor | None,
    gelu: bool,
) -> Tensor:
    given = [None if t is None else t.contiguous() for t in (x, x_scale, weight, scale, bias, h, up)]
    out = result(x, x_scale, weight, scale, bias, h, up, gelu)
    rank = 0 if up is None else up.shape[1]
    KERNELS.call("wancore_product", x.device, *given, out, *out.shape, x.shape[1], rank, int(gelu))
    return out


def result(
    x: Tensor,
    x_scale: Tensor | None,
    weight: Tensor,
    scale: Tensor | None,
    bias: Tensor | None,
    h: Tensor | None,
    up: Tensor | None,
    gelu: bool,
) -> Tensor:
    return x.new_empty(len(x), len(weight), dtype=torch.bfloat16)


OPERATOR = register(
    "product(Tensor x, Tensor? x_scale, Tensor weight, Tensor? scale, Tensor? bias, Tensor? h, Tensor? up, "
    "bool gelu) -> Tensor",
    on_gpu,
    result,
)
