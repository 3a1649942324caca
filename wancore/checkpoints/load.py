"""Filling a module from a checkpoint, one tensor at a time, without a second copy in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain
from typing import cast

import torch
from torch import nn

from wancore.checkpoints.layer_formats import check_readable
from wancore.checkpoints.listing import counted
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.quant.linear import Linear
from wancore.quant.weight import Weight


def load_module(
    module: nn.Module,
    view: FileView,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    ignore: Collection[str] = (),
    keep_quantised: bool = True,
) -> None:
    """Assigns every parameter and persistent buffer of `module` (made on the meta device) from `view`.

    A linear layer whose weight is quantised is replaced by a `wancore.quant.Linear` that holds it as it is
    stored; other quantised tensors (and with `keep_quantised` False all) are dequantised.
    `dtype`: converts floating point tensors (None: as stored; a CPU tensor then stays a view of the
    mapped file). `ignore`: names in the file that are known and not needed.
    Raises `CheckpointError` on missing, unexpected, differently shaped keys and on formats that are not
    read, before anything is assigned.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict(keep_vars=True).items()}
    check_readable(view)
    check_names(view, wanted, ignore)
    check_shapes(view, wanted)
    with view.reader() as reader:
        for name, shape in wanted.items():
            weight = reader.weight(name, shape)
            if weight is not None and keep_quantised and is_linear_weight(module, name):
                replace_linear(module, name.rpartition(".")[0], weight.to(device))
                continue
            tensor = weight.dequantised(dtype or torch.float32) if weight else reader.tensor(name)
            assign(module, name, placed(view, name, tensor, dtype, device))


def is_linear_weight(module: nn.Module, name: str) -> bool:
    """Whether `name` is the weight of a plain linear layer; subclasses may read it in ways of their own."""
    path, _, leaf = name.rpartition(".")
    return leaf == "weight" and type(module.get_submodule(path)) is nn.Linear and path != ""


def replace_linear(module: nn.Module, path: str, weight: Weight) -> None:
    parent, _, leaf = path.rpartition(".")
    old = cast(nn.Linear, module.get_submodule(path))
    setattr(module.get_submodule(parent), leaf, Linear(weight, old.bias))


def check_names(view: FileView, wanted: Collection[str], ignore: Collection[str]) -> None:
    missing = [name for name in wanted if name not in view]
    unexpected = [name for name in view.entries if name not in wanted and name not in ignore]
    problems = [counted("missing", missing), counted("unexpected", unexpected)]
    if missing or unexpected:
        raise CheckpointError(view.path, "does not fit this model: " + "; ".join(filter(None, problems)))


def check_shapes(view: FileView, wanted: Mapping[str, tuple[int, ...]]) -> None:
    wrong = [name for name, shape in wanted.items() if not view.holds(name, shape)]
    if wrong:
        name = wrong[0]
        problem = f"has shape {list(view.shape(name))}, the model needs {list(wanted[name])}"
        more = f" ({len(wrong)} keys have the wrong shape)" if len(wrong) > 1 else ""
        raise CheckpointError(view.path, problem + more, name)


def placed(
    view: FileView, name: str, tensor: torch.Tensor, dtype: torch.dtype | None, device: torch.device | str
) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor.to(device)
    if dtype is None and tensor.itemsize == 1:
        raise CheckpointError(
            view.path, f"is stored as {tensor.dtype}; a dtype to compute in is needed", name
        )
    return tensor.to(device=device, dtype=dtype or tensor.dtype)


def assign(module: nn.Module, name: str, tensor: torch.Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if leaf in owner._parameters:
        owner._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)
    else:
        owner._buffers[leaf] = tensor


def materialised(module: nn.Module) -> bool:
    """Whether nothing of `module` is left on the meta device."""
    return not any(t.is_meta for t in chain(module.parameters(), module.buffers()))
