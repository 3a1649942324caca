"""Golden cases on another device or in another number type than the references' own.

In float32 the tolerance stays, with TF32 off. In other types the measure is what plain PyTorch makes of the
same case in the same type: neither kernels nor attention backends may be more than three times as far off.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from wancore.parity.case import Case
from wancore.parity.compare import Verdict, compare
from wancore.parity.kind import Kind, Result

TIMES_PLAIN = 3.0
LEAST = 1e-4  # plain PyTorch may be exact by chance


@dataclass(frozen=True)
class Place:
    """`device` as torch names it; `dtype`: float32, bfloat16 or float16."""

    device: str = "cpu"
    dtype: str = "float32"


@dataclass(frozen=True)
class Judged:
    """The verdict, the tolerance that it was judged by, and what to say beside it."""

    verdict: Verdict
    tolerance: float
    beside: str = ""


def judge(case: Case, kind: Kind, place: Place) -> Judged:
    case = replace(case, device=place.device, dtype=place.dtype)
    with full_float32():
        if place.dtype == "float32":
            return Judged(verdict_of(case, kind), kind.tolerance)
        with kernels_off():
            anything = replace(kind, tolerance=math.inf)
            plain = verdict_of(replace(case, plain=True), anything).rel
        tolerance = max(TIMES_PLAIN * plain, LEAST)
        return Judged(verdict_of(case, replace(kind, tolerance=tolerance)), tolerance, f"plain={plain:.3e}")


def verdict_of(case: Case, kind: Kind) -> Verdict:
    computed = kind.resolve()(case)
    return compare(case, kind, computed if isinstance(computed, Result) else Result(outputs=computed))


@contextmanager
def full_float32() -> Iterator[None]:
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@contextmanager
def kernels_off() -> Iterator[None]:
    from wancore.kernels.library import VARIABLE

    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "off"
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
