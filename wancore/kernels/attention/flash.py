"""FlashAttention by its own packages: version 3 (arXiv:2407.08608; Hopper) in bf16 and fp8, and version 2."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.kernels.attention.backend import BF16, Backend, Run
from wancore.kernels.attention.operators import operator

E4M3_LARGEST = 448.0
NOTHING = (None,)


def load_fa3() -> Run:
    import fa3_fwd._C  # type: ignore[import-not-found]  # noqa: F401  (its operators are registered by this)

    return operator("fa3", fa3)


def load_fa3_fp8() -> Run:
    import fa3_fwd._C  # noqa: F401

    return operator("fa3_fp8", fa3_fp8)


def fa3(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
    return forward3(q, k, v, lengths, (None, None, None))


def fa3_fp8(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
    (q8, q_scale), (k8, k_scale), (v8, v_scale) = scaled(q), scaled(k), scaled(v)
    return forward3(q8, k8, v8, lengths, (q_scale, k_scale, v_scale))


def forward3(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lengths: Tensor | None,
    scales: tuple[Tensor | None, Tensor | None, Tensor | None],
) -> Tensor:
    """Straight to the kernel: the package's Python function costs several times the launch."""
    used = None if lengths is None else lengths.to(torch.int32)
    q, k, v = (t if t.stride(-1) == 1 else t.contiguous() for t in (q, k, v))
    out: Tensor = torch.ops.fa3_fwd.fwd(
        q, k, v,
        *6 * NOTHING,  # new keys, new values, extra values, output, row offsets of queries and keys
        *2 * NOTHING, used,  # row offsets of new keys, used queries, used keys
        *8 * NOTHING,  # longest queries and keys, pages, batch index, padding, rotation
        *scales,
        q.shape[-1] ** -0.5,
        num_splits=1,
    )[0]  # fmt: skip
    return out


def scaled(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [G, S, H, d] -> e4m3 codes, and the scale of each group's heads [G, H] float32."""
    largest = x.abs().amax(dim=(1, 3)).float().clamp_min(1e-12)
    factor = (E4M3_LARGEST / largest).to(x.dtype)
    return (x * factor[:, None, :, None]).to(torch.float8_e4m3fn), 1 / factor.float()


def load_fa2() -> Run:
    from flash_attn import flash_attn_func  # type: ignore[import-not-found]

    def fa2(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
        out: Tensor = flash_attn_func(q, k, v)
        return out

    return operator("flash_attn", fa2)


BACKENDS = (
    Backend(
        "fa3",
        "FlashAttention-3 (package fa3-fwd)",
        load_fa3,
        lowest=(9, 0),
        below=(10, 0),
        dtypes=(BF16,),
        varlen=True,
        rank=10,
    ),
    Backend("flash-attn", "FlashAttention-2 (package flash-attn)", load_fa2, lowest=(8, 0), rank=30),
    Backend(
        "fa3-fp8",
        "FlashAttention-3 with queries, keys and values in e4m3, one scale a head",
        load_fa3_fp8,
        lowest=(9, 0),
        below=(10, 0),
        dtypes=(BF16,),
        varlen=True,
        exact=False,
        tolerance=0.15,
    ),
)
