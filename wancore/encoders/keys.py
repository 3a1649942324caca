"""Finding a model's tensors in the files people have, and reading sizes off them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wancore.checkpoints import FileView
from wancore.checkpoints.keymap import KeyMap
from wancore.errors import CheckpointError


@dataclass(frozen=True)
class Layout:
    """One way of naming a model's tensors; `names` leads to those of its module.

    `anchor`: a name that every such file has; what stands before it is the prefix of the whole model.
    """

    anchor: str
    names: KeyMap


def canonical(view: FileView, layouts: Sequence[Layout], model: str) -> FileView:
    """`view` with the module's names, by the first layout whose anchor it has.

    Where the anchor has a prefix, everything outside that prefix belongs to other models of the file.
    Unknown names keep theirs, so that loading reports them. Raises `CheckpointError` where no layout fits.
    """
    for layout in layouts:
        prefix = anchor_prefix(view, layout.anchor)
        if prefix is not None:
            return layout.names.apply(view.under(prefix))
    anchors = " or ".join(repr(layout.anchor) for layout in layouts)
    raise CheckpointError(view.path, f"holds no {model}: none of its keys is {anchors}")


def anchor_prefix(view: FileView, anchor: str) -> str | None:
    """What stands before `anchor` in this file ('' or 'some.thing.'); None where the anchor is absent."""
    if anchor in view:
        return ""
    found = [name for name in view.entries if name.endswith("." + anchor)]
    return found[0].removesuffix(anchor) if len(found) == 1 else None


def shape(view: FileView, name: str, dims: int) -> tuple[int, ...]:
    """The shape of a tensor that sizes are read from. Raises `CheckpointError` where it cannot be."""
    sizes = view.shape(name)
    if len(sizes) != dims or 0 in sizes:
        raise CheckpointError(
            view.path, f"has shape {list(sizes)}; accepted: {dims} dimensions, none 0", name
        )
    return sizes


def count(view: FileView, prefix: str) -> int:
    """How many numbered parts `prefix.0`, `prefix.1`, … there are. Raises `CheckpointError` for none."""
    numbered = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    numbers = {int(match[1]) for name in view.entries if (match := numbered.match(name))}
    if not numbers:
        raise CheckpointError(view.path, f"holds no {prefix}.0")
    return max(numbers) + 1
