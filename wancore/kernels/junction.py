"""Where two sub-layers meet: residual updates, then a norm, then its modulation, in one trip through memory.

`junction_twin` is the same in PyTorch; `serves` chooses. Statistics in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wancore.kernels.codes import FP8, Codes, quantised, wide
from wancore.kernels.library import DTYPES
from wancore.kernels.register import register, rows_of_vectors
from wancore.kernels.sources import KERNELS, LARGEST_WIDTH, serves
from wancore.transformer.levels import Levels

NONE, MODULATED, AFFINE = range(3)  # as `enum Norm` of csrc/junction.cu
AT_ONCE = 2  # updates that one launch adds


@dataclass(frozen=True)
class Update:
    """`rows` [m, D] for rows start .. start + m, times `gate` [K, D] float32 by level (only where m is all
    rows) or times `strength`, a number or a scalar tensor."""

    rows: Tensor
    start: int = 0
    gate: Tensor | None = None
    strength: float | Tensor | None = None


@dataclass(frozen=True)
class Modulated:
    """LN(x) * (1 + scale) + shift, both [K, D] float32 by level."""

    shift: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Affine:
    """LN(x) * weight + bias, both [D]."""

    weight: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True)
class Form:
    """What readers of a norm want: its rows, or their fp8 codes, or both."""

    codes: bool = False
    plain: bool = True


PLAIN = Form()


def junction(
    x: Tensor,
    updates: Sequence[Update] = (),
    norm: Modulated | Affine | None = None,
    levels: Levels = Levels(),
    eps: float = 1e-6,
    form: Form = PLAIN,
) -> tuple[Tensor, Tensor | Codes | None]:
    """x [S, D] with the updates added, and its norm in the form asked for (None without a norm).

    Raises `ValueError` for an update that does not fit the rows.
    """
    check(x, updates)
    if not serves(x) or not supported(x, updates, norm, levels):
        return junction_twin(x, updates, norm, levels, eps, form)
    while len(updates) > AT_ONCE:
        x, _ = junction(x, updates[:AT_ONCE], levels=levels)
        updates = updates[AT_ONCE:]
    modulated, affine = isinstance(norm, Modulated), isinstance(norm, Affine)
    total, normed, codes, scales = OPERATOR(
        x, *arguments(updates[0] if updates else None), *arguments(updates[1] if len(updates) > 1 else None),
        levels.index,
        norm.shift if isinstance(norm, Modulated) else None,
        norm.scale if isinstance(norm, Modulated) else None,
        same_type(norm.weight, x) if isinstance(norm, Affine) else None,
        same_type(norm.bias, x) if isinstance(norm, Affine) else None,
        MODULATED if modulated else AFFINE if affine else NONE,
        eps, len(updates) > 0, form.plain, form.codes,
    )  # fmt: skip
    x = total if updates else x
    if norm is None:
        return x, None
    return x, Codes(codes, scales, x.dtype, normed if form.plain else None) if form.codes else normed


def junction_twin(
    x: Tensor,
    updates: Sequence[Update] = (),
    norm: Modulated | Affine | None = None,
    levels: Levels = Levels(),
    eps: float = 1e-6,
    form: Form = PLAIN,
) -> tuple[Tensor, Tensor | Codes | None]:
    for update in updates:
        x = updated(x, update, levels)
    if norm is None:
        return x, None
    if not form.codes:
        return x, normed_rows(x, norm, levels, eps)
    values = normed_rows(wide(x), norm, levels, eps)
    return x, Codes(*quantised(values), x.dtype, values.to(x.dtype) if form.plain else None)


def updated(x: Tensor, update: Update, levels: Levels) -> Tensor:
    if update.gate is not None:

        def row(x: Tensor, rows: Tensor, gate: Tensor) -> Tensor:
            return (wide(x) + wide(rows) * gate).to(x.dtype)

        return levels.apply(row, x, (update.gate,), update.rows)
    stop = update.start + len(update.rows)
    scaled = wide(update.rows) if update.strength is None else wide(update.rows) * update.strength
    changed = (wide(x[update.start : stop]) + scaled).to(x.dtype)
    return changed if len(changed) == len(x) else torch.cat((x[: update.start], changed, x[stop:]))


def normed_rows(x: Tensor, norm: Modulated | Affine, levels: Levels, eps: float) -> Tensor:
    width = x.shape[-1:]
    if isinstance(norm, Affine):
        weight, bias = (None if t is None else t.to(wide(x).dtype) for t in (norm.weight, norm.bias))
        return F.layer_norm(wide(x), width, weight, bias, eps).to(x.dtype)

    def row(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return (F.layer_norm(wide(x), width, eps=eps) * (1 + scale) + shift).to(x.dtype)

    return levels.apply(row, x, (norm.shift, norm.scale))


def check(x: Tensor, updates: Sequence[Update]) -> None:
    for update in updates:
        start, stop = update.start, update.start + len(update.rows)
        if stop > len(x) or (update.gate is not None and stop - start != len(x)):
            raise ValueError(f"rows {start}..{stop} do not fit a sequence of {len(x)}")


def supported(x: Tensor, updates: Sequence[Update], norm: Modulated | Affine | None, levels: Levels) -> bool:
    tables = [u.gate for u in updates if u.gate is not None]
    tables += [norm.shift, norm.scale] if isinstance(norm, Modulated) else []
    rows = [u.rows for u in updates]
    return (
        x.ndim == 2
        and x.dtype in DTYPES
        and 8 <= x.shape[1] <= LARGEST_WIDTH
        and all(r.dtype == x.dtype for r in rows)
        and all(t.dtype == torch.float32 for t in tables)
        and rows_of_vectors(x, *rows, *tables)
    )


def same_type(table: Tensor | None, x: Tensor) -> Tensor | None:
    return None if table is None else table.detach().to(x.dtype)


def arguments(update: Update | None) -> tuple[Any, ...]:
    """rows, start, gate, strength (a tensor), factor (a number)."""
    if update is None:
        return None, 0, None, None, 1.0
    strength = update.strength
    if isinstance(strength, Tensor):
        return update.rows, update.start, update.gate, strength.to(update.rows.device, torch.float32), 1.0
    return update.rows, update.start, update.gate, None, 1.0 if strength is None else strength


def on_gpu(
    x: Tensor,
    first: Tensor | None, first_start: int, first_gate: Tensor | None,
    first_strength: Tensor | None, first_factor: float,
    second: Tensor | None, second_start: int, second_gate: Tensor | None,
    second_strength: Tensor | None, second_factor: float,
    level: Tensor | None,
    shift: Tensor | None, scale: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    norm: int, eps: float, total: bool, plain: bool, codes: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    kept = results(x, norm, total, plain, codes)
    out = [t if len(t) else None for t in kept]
    KERNELS.call(
        "wancore_junction", x.device, x, x.stride(0),
        first, stride(first), first_start, length(first), first_gate, stride(first_gate),
        first_strength, first_factor,
        second, stride(second), second_start, length(second), second_gate, stride(second_gate),
        second_strength, second_factor,
        out[0], level, shift, stride(shift), scale, stride(scale), weight, bias, eps,
        out[1], out[2], out[3], *x.shape, norm, DTYPES[x.dtype],
    )  # fmt: skip
    return kept


def stride(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.stride(0)


def length(tensor: Tensor | None) -> int:
    return 0 if tensor is None else len(tensor)


def results(
    x: Tensor, norm: int, total: bool, plain: bool, codes: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sum, the norm, its codes and their scales; what was not asked for is empty."""
    rows, width = x.shape
    return (
        x.new_empty((rows if total else 0, width)),
        x.new_empty((rows if norm and plain else 0, width)),
        x.new_empty((rows if norm and codes else 0, width), dtype=FP8),
        x.new_empty((rows if norm and codes else 0, 1), dtype=torch.float32),
    )


def without_values(x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    norm, _, total, plain, codes = arguments[-5:]
    return results(x, norm, total, plain, codes)


UPDATE = "Tensor? {0}, int {0}_start, Tensor? {0}_gate, Tensor? {0}_strength, float {0}_factor"
OPERATOR = register(
    f"junction(Tensor x, {UPDATE.format('first')}, {UPDATE.format('second')}, Tensor? level,"
    " Tensor? shift, Tensor? scale, Tensor? weight, Tensor? bias, int norm, float eps,"
    " bool total, bool plain, bool codes) -> (Tensor, Tensor, Tensor, Tensor)",
    on_gpu,
    without_values,
)
