"""RMSNorm over the whole width, and of queries and keys together with their rotation, in one launch.

The twins are the same in PyTorch; `serves` chooses. Statistics in float32.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from wancore.kernels.codes import wide
from wancore.kernels.library import DTYPES
from wancore.kernels.register import register, rows_of_vectors
from wancore.kernels.sources import KERNELS, LARGEST_WIDTH, serves


class Turned(NamedTuple):
    """q, k [S, H, d], normed and rotated; `plain`: q before the rotation, where it was asked for."""

    q: Tensor
    k: Tensor
    plain: Tensor | None


def norm_rotate(
    q: Tensor, k: Tensor, weights: tuple[Tensor, Tensor], eps: float, cos: Tensor, sin: Tensor, plain: bool
) -> Turned:
    """q, k [S, D], which may be overwritten; `weights` [D] of the norms; cos, sin [S, d / 2] float32."""
    heads = q.shape[1] // (2 * cos.shape[1])
    if not serves(q) or not supported(q, k, cos, sin):
        return norm_rotate_twin(q, k, weights, eps, cos, sin, plain)
    unrotated = q.new_empty(q.shape) if plain else None
    of_q, of_k = (w.detach().to(q.dtype) for w in weights)
    NORM_ROTATE(q, k, of_q, of_k, eps, cos, sin, unrotated)
    return Turned(
        split(q, heads), split(k, heads), split(unrotated, heads) if unrotated is not None else None
    )


def norm_rotate_twin(
    q: Tensor, k: Tensor, weights: tuple[Tensor, Tensor], eps: float, cos: Tensor, sin: Tensor, plain: bool
) -> Turned:
    heads = q.shape[1] // (2 * cos.shape[1])
    unrotated, key = (split(rms_norm_twin(t, w, eps), heads) for t, w in zip((q, k), weights, strict=True))
    return Turned(rotated(unrotated, cos, sin), rotated(key, cos, sin), unrotated if plain else None)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Neighbouring channel pairs of x [S, H, d] turned by cos, sin [S, d / 2]."""
    even, odd = wide(x).unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2).to(x.dtype)


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """x * rsqrt(mean(x^2) + eps) * weight for x [..., D] (arXiv:1910.07467)."""
    if not serves(x) or not supported(x):
        return rms_norm_twin(x, weight, eps)
    scale = None if weight is None else weight.detach().to(x.dtype)
    return RMS_NORM(x.reshape(-1, x.shape[-1]), scale, eps).view(x.shape)


def rms_norm_twin(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    values = wide(x)
    values = values * torch.rsqrt(values.square().mean(-1, keepdim=True) + eps)
    return (values if weight is None else values * weight.to(values.dtype)).to(x.dtype)


def split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(1, (heads, -1))


def supported(
    x: Tensor, k: Tensor | None = None, cos: Tensor | None = None, sin: Tensor | None = None
) -> bool:
    """Whether the kernel takes these; the twin takes everything."""
    tables = cos is None or (
        cos.dtype == torch.float32 and cos.is_contiguous() and cos.shape[1] % 4 == 0
        and sin is not None and sin.is_contiguous()
    )  # fmt: skip
    same = k is None or (k.dtype == x.dtype and k.shape == x.shape)
    fits = x.dtype in DTYPES and 8 <= x.shape[-1] <= LARGEST_WIDTH
    return tables and same and fits and rows_of_vectors(x, k)


def norm_rotate_on_gpu(
    q: Tensor, k: Tensor, q_weight: Tensor, k_weight: Tensor, eps: float,
    cos: Tensor, sin: Tensor, plain: Tensor | None,
) -> None:  # fmt: skip
    KERNELS.call(
        "wancore_norm_rotate", q.device,
        q, q.stride(0), q_weight, q, q.stride(0), plain, k, k.stride(0), k_weight, k, k.stride(0),
        cos, sin, eps, *q.shape, 2 * cos.shape[1], DTYPES[q.dtype],
    )  # fmt: skip


def rms_norm_on_gpu(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    out = x.new_empty(x.shape)
    KERNELS.call(
        "wancore_norm_rotate", x.device,
        x, x.stride(0), weight, out, out.stride(0), None, None, 0, None, None, 0,
        None, None, eps, *x.shape, x.shape[1], DTYPES[x.dtype],
    )  # fmt: skip
    return out


NORM_ROTATE = register(
    "norm_rotate_(Tensor(a!) q, Tensor(b!) k, Tensor q_weight, Tensor k_weight, float eps, Tensor cos,"
    " Tensor sin, Tensor(c!)? plain) -> ()",
    norm_rotate_on_gpu,
    lambda q, k, q_weight, k_weight, eps, cos, sin, plain: None,
)
RMS_NORM = register(
    "rms_norm(Tensor x, Tensor? weight, float eps) -> Tensor",
    rms_norm_on_gpu,
    lambda x, weight, eps: x.new_empty(x.shape),
)
