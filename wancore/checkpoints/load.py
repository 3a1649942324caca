"""Filling a module from a checkpoint, one tensor at a time, without a second copy in memory."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain

import torch
from torch import nn

from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError


def load_module(
    module: nn.Module,
    view: FileView,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    ignore: Collection[str] = (),
) -> None:
    """Assigns every parameter and persistent buffer of `module` (made on the meta device) from `view`.

    `dtype`: converts floating point tensors (None: as stored; a CPU tensor then stays a view of the
    mapped file). `ignore`: names in the file that are known and not needed.
    Raises `CheckpointError` on missing, unexpected or differently shaped keys.
    """
    wanted = {name: tensor.shape for name, tensor in module.state_dict(keep_vars=True).items()}
    check_names(view, wanted, ignore)
    for name, shape in wanted.items():
        if view.shape(name) != tuple(shape):
            raise CheckpointError(
                view.path, f"has shape {list(view.shape(name))}, the model needs {list(shape)}", name
            )
    for name in wanted:
        tensor = view.tensor(name)
        to = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        assign(module, name, tensor.to(device=device, dtype=to))


def check_names(view: FileView, wanted: Collection[str], ignore: Collection[str]) -> None:
    missing = [name for name in wanted if name not in view]
    unexpected = [name for name in view.entries if name not in wanted and name not in ignore]
    problems = [
        f"{len(names)} keys {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected))
        if names
    ]
    if problems:
        raise CheckpointError(view.path, "does not fit this model: " + "; ".join(problems))


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
