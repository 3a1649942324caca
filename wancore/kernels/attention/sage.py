"""SageAttention (arXiv:2410.02367, arXiv:2411.10958): products of quantised queries and keys.

Known to give black or noisy pictures with some versions on some GPUs: only on request, for
self-attention, and after a self-test.
"""

from __future__ import annotations

from torch import Tensor

from wancore.kernels.attention.backend import Backend, Run
from wancore.kernels.attention.operators import operator


def load_sage() -> Run:
    from sageattention import sageattn  # type: ignore[import-not-found]

    def sage(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
        out: Tensor = sageattn(q, k, v, tensor_layout="NHD", is_causal=False)
        return out.contiguous()

    return operator("sage", sage)


BACKENDS = (
    Backend(
        "sage",
        "SageAttention (package sageattention)",
        load_sage,
        lowest=(8, 0),
        head_dims=(32, 128),
        exact=False,
        tolerance=0.15,
    ),
)
