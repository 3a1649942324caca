"""GELU, SiLU x gate and row-wise fp8 quantisation: each in one trip through memory.

Every function has its PyTorch twin beside it (`*_twin`), with the same signature; the choice between them
is `serves`. Arithmetic in float32, rounded once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from wancore.kernels.codes import FP8, Codes, quantised, wide
from wancore.kernels.library import DTYPES
from wancore.kernels.register import register, rows_of_vectors
from wancore.kernels.sources import KERNELS, LARGEST_WIDTH, serves

ACTIVATIONS = {
    "identity": 0,
    "gelu": 1,
    "silu": 2,
    "silu gate": 3,
}  # as `enum Activation` of csrc/activation.cu
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
}


def activation(
    x: Tensor,
    kind: str = "identity",
    gate: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    codes: bool = False,
    plain: bool = True,
) -> Tensor | Codes:
    """f(x + bias) * gate for x, gate [..., D], bias [D]; `kind`: identity, gelu (its tanh form) or silu.

    `codes`: the result as `Codes` for a product in fp8, with the plain rows too if `plain`.
    """
    if not serves(x) or not supported(x, gate, bias) or (gate is not None and kind != "silu"):
        return activation_twin(x, kind, gate, bias, codes=codes, plain=plain)
    flat = x.reshape(-1, x.shape[-1])
    flat_gate = None if gate is None else gate.reshape(-1, x.shape[-1])
    out, rows, scale = OPERATOR(
        flat, ACTIVATIONS[kind if gate is None else "silu gate"], flat_gate, bias, codes, plain
    )
    shaped = like(x, out) if plain or not codes else None
    if not codes:
        assert shaped is not None
        return shaped
    return Codes(like(x, rows), like(x, scale), x.dtype, shaped)


def like(x: Tensor, rows: Tensor) -> Tensor:
    """rows [n, m] as [..., m]. No view where none is needed: it would keep the tensor that it is a view of,
    and a weight that is laid elsewhere would take its memory twice."""
    return rows if x.ndim == 2 else rows.view(*x.shape[:-1], rows.shape[-1])


def activation_twin(
    x: Tensor,
    kind: str = "identity",
    gate: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    codes: bool = False,
    plain: bool = True,
) -> Tensor | Codes:
    values = wide(x) if bias is None else wide(x) + bias
    values = FUNCTIONS[kind](values)
    values = values if gate is None else values * gate
    out = values.to(x.dtype)
    return Codes(*quantised(out), x.dtype, out if plain else None) if codes else out


def gelu(x: Tensor) -> Tensor:
    """GELU in its tanh form."""
    out = activation(x, "gelu")
    assert isinstance(out, Tensor)
    return out


def silu_gate(x: Tensor, gate: Tensor) -> Tensor:
    """silu(x) * gate, for x and gate of the same shape [..., D]; both may be slices of one tensor."""
    out = activation(x, "silu", gate)
    assert isinstance(out, Tensor)
    return out


def quantise_rows(x: Tensor, *, plain: bool = False) -> Codes:
    """x [..., D] as `Codes`; with x itself in them if `plain`."""
    out = activation(x, codes=True, plain=False)
    assert isinstance(out, Codes)
    return Codes(out.codes, out.scale, x.dtype, x if plain else None)


def supported(x: Tensor, *others: Tensor | None) -> bool:
    """Whether the kernel takes these; the twin takes everything."""
    same = all(o is None or (o.dtype == x.dtype and o.shape[-1] == x.shape[-1]) for o in others)
    return same and x.dtype in DTYPES and 8 <= x.shape[-1] <= LARGEST_WIDTH and rows_of_vectors(x, *others)


def on_gpu(
    x: Tensor, kind: int, gate: Tensor | None, bias: Tensor | None, codes: bool, plain: bool
) -> tuple[Tensor, Tensor, Tensor]:
    rows, width = x.shape
    out, coded, scale = results(x, kind, gate, bias, codes, plain)
    KERNELS.call(
        "wancore_activation", x.device, x, x.stride(0), gate, 0 if gate is None else gate.stride(0), bias,
        out if out.numel() else None, coded if codes else None, scale if codes else None,
        rows, width, kind, DTYPES[x.dtype],
    )  # fmt: skip
    return out, coded, scale


def results(
    x: Tensor, kind: int, gate: Tensor | None, bias: Tensor | None, codes: bool, plain: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Out, codes and scales; what was not asked for is empty."""
    rows, width = x.shape
    return (
        x.new_empty((rows, width) if plain or not codes else (0, width)),
        x.new_empty((rows, width) if codes else (0, width), dtype=FP8),
        x.new_empty((rows, 1) if codes else (0, 1), dtype=torch.float32),
    )


OPERATOR = register(
    "activation(Tensor x, int kind, Tensor? gate, Tensor? bias, bool codes, bool plain)"
    " -> (Tensor, Tensor, Tensor)",
    on_gpu,
    results,
)
