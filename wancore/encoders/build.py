"""From a `transformers` class and a checkpoint to a module ready to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from wancore.checkpoints import FileView, load_module, open_view
from wancore.errors import CheckpointError, shown

M = TypeVar("M", bound=nn.Module)
C = TypeVar("C")


def as_view(source: FileView | Path | str) -> FileView:
    return source if isinstance(source, FileView) else open_view(source)


def build(
    make: Callable[[], M],
    view: FileView,
    dtype: torch.dtype,
    device: torch.device | str,
    keep_quantised: bool = True,
) -> M:
    """Makes the module without memory and fills it; no gradients, evaluation mode.

    `keep_quantised`: False where a network reads the weights of its layers itself. Raises
    `CheckpointError` where the file does not fit.
    """
    with fitting(view), torch.device("meta"):
        module = make()
    load_module(module, view, dtype=dtype, device=device, keep_quantised=keep_quantised)
    return module.eval().requires_grad_(False)


def declared(config: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Those of `fields` that a config.json states: what shapes cannot tell."""
    return {name: config[name] for name in fields if name in config}


def configured(view: FileView, kind: Callable[..., C], fields: Mapping[str, Any]) -> C:
    """The `transformers` configuration with these fields. Raises `CheckpointError` for a value it refuses."""
    with fitting(view):
        return kind(**fields)


@contextmanager
def fitting(view: FileView) -> Iterator[None]:
    """What `transformers` says of a configuration it cannot build, as a `CheckpointError`."""
    from huggingface_hub.errors import StrictDataclassError

    try:
        yield
    except (StrictDataclassError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(view.path, f"has sizes or a config.json that do not fit: {reason}") from error


def head_count(view: FileView, stated: Mapping[str, Any], field: str, width: int, head_width: int) -> int:
    """The number of attention heads: as config.json states, else `width` in heads of the usual width.

    Raises `CheckpointError` where neither gives an answer.
    """
    if field in stated:
        heads = stated[field]
        if type(heads) is not int or heads < 1 or width % heads:
            problem = f"has {field} {shown(heads)} in its config.json; accepted: a divisor of {width}"
            raise CheckpointError(view.path, problem)
        return heads
    if width % head_width:
        problem = f"does not tell its number of attention heads; accepted: {field} in a config.json beside it"
        raise CheckpointError(view.path, problem)
    return width // head_width


@torch.no_grad()
def levels(layers: Iterable[nn.Module], run: Callable[[], torch.Tensor]) -> list[torch.Tensor]:
    """What enters each of `layers` while `run` goes through them, then what `run` returns.

    Those are the hidden states as transformers 4.x numbered them: for models that end in a norm, the
    last level is normed. Later versions differ there, so they are recorded here.
    """
    seen: list[torch.Tensor] = []
    hooks = [layer.register_forward_pre_hook(lambda _, args: seen.append(args[0])) for layer in layers]
    try:
        last = run()
    finally:
        for hook in hooks:
            hook.remove()
    return [*seen, last]
