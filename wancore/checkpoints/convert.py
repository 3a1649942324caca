"""A checkpoint in another precision: bfloat16, or fp8 with a scale for each output channel.

Names become upstream's where the file holds a transformer. One tensor is in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from wancore.checkpoints.base_keys import base_spec, expected_keys, has_base
from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.layer_formats import check_readable
from wancore.checkpoints.mapped import DTYPES
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.view import FileView
from wancore.checkpoints.writer import Planned, in_file_order, writing
from wancore.errors import CheckpointError
from wancore.quant.scaled import ScaledWeight

Precision = Literal["bf16", "fp8"]
FP8 = torch.float8_e4m3fn
SCALE = "_scale"
#: A matrix in a numbered layer is worth quantising; embeddings, heads and tables are not.
IN_LAYER = re.compile(r"(^|\.)[a-z_]+\.\d+\..*\.weight")
NEVER = re.compile(r"norm|bias|embedding|modulation|patch|gamma")


@dataclass(frozen=True)
class Loss:
    """What the conversion of one tensor cost."""

    name: str
    error: float


@dataclass(frozen=True)
class Conversion:
    """What was written: `quantised` tensors are in fp8; `losses`: of the tensors that lost anything.

    `error` is the root mean square of their relative errors, `worst` the largest.
    """

    path: Path
    tensors: int
    quantised: int
    losses: tuple[Loss, ...]

    @property
    def error(self) -> float:
        count = max(len(self.losses), 1)
        return (sum(loss.error**2 for loss in self.losses) / count) ** 0.5

    @property
    def worst(self) -> Loss | None:
        return max(self.losses, key=lambda loss: loss.error, default=None)


def convert(view: FileView, target: Path, precision: Precision) -> Conversion:
    """Writes `view` to `target` as safetensors.

    "bf16": matrices and convolutions in bfloat16; "fp8": the matrices of numbered layers in e4m3 with
    `<layer>.weight_scale` [out, 1] float32, the rest as for "bf16". Vectors and small tables stay as they
    are stored, fp8 ones in bfloat16. Raises `CheckpointError` where the file is not read, or `target` is
    there already.
    """
    check_readable(view)
    view = upstream_names(view)
    planned = in_file_order(dict(plan(view, precision)))
    losses = []
    with view.reader() as reader, writing(target, planned) as writer:
        for name in planned:
            if name in view:
                result, error = converted(reader.tensor(name), planned[name].dtype)
                losses += [Loss(name, error)] if error else []
            else:  # scales stand before the codes, which are computed when their turn comes
                result = row_quantised(reader.tensor(name.removesuffix(SCALE))).grid
            writer.write(name, result)
    quantised = sum(plan.dtype == FP8 for plan in planned.values())
    return Conversion(target, len(view), quantised, tuple(losses))


def upstream_names(view: FileView) -> FileView:
    """Without prefix, and for a transformer under canonical names in the shapes of its model."""
    canonical = to_canonical(peel_prefix(view).view)
    if not has_base(canonical):
        return canonical
    shapes = expected_keys(base_spec(canonical))
    return canonical.cropped({name: shape for name, shape in shapes.items() if name in canonical})


def plan(view: FileView, precision: Precision) -> Iterator[tuple[str, Planned]]:
    for name, info in view.entries.items():
        if precision == "fp8" and worth_quantising(name, info.shape):
            if name + SCALE in view:
                raise CheckpointError(view.path, "already stands beside it", name + SCALE)
            yield name, Planned(FP8, info.shape)
            yield name + SCALE, Planned(torch.float32, (info.shape[0], 1))
        else:
            yield name, Planned(plain_dtype(view, name), info.shape)


def worth_quantising(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and bool(IN_LAYER.search(name)) and not NEVER.search(name)


def plain_dtype(view: FileView, name: str) -> torch.dtype:
    """bfloat16 for anything with two axes that count and for what is quantised, else the stored dtype."""
    info = view.entries[name]
    if info.encodings:
        return torch.bfloat16
    if info.dtype not in DTYPES:
        raise CheckpointError(view.path, f"is stored as {info.dtype}, which is not read", name)
    stored = DTYPES[info.dtype]
    wide = sum(size > 1 for size in info.shape) > 1
    small = stored.is_floating_point and (stored.itemsize == 1 or (wide and stored.itemsize > 2))
    return torch.bfloat16 if small or stored == torch.float16 else stored


def converted(tensor: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, float]:
    """(`tensor` as it is written, relative error of that)."""
    if dtype != FP8:
        result = tensor.to(dtype)
        return result, relative_error(result, tensor)
    weight = row_quantised(tensor)
    return weight.codes, relative_error(weight.dequantised(), tensor)


def row_quantised(tensor: torch.Tensor) -> ScaledWeight:
    """A matrix in e4m3 with a scale a row."""
    like = ScaledWeight("fp8 e4m3", torch.empty(tensor.shape, dtype=FP8), torch.ones(len(tensor), 1))
    return like.quantised(tensor.float())


def relative_error(result: torch.Tensor, source: torch.Tensor) -> float:
    """Root mean square of the differences over that of `source`."""
    if result is source or not result.numel():
        return 0.0
    size = float(torch.linalg.vector_norm(source, dtype=torch.float32))
    difference = torch.linalg.vector_norm(result.float() - source.float())
    return float(difference) / size if size else 0.0
