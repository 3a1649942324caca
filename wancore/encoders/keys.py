"""The names a model's tensors go by in the files people have, and what its module calls them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from wancore.checkpoints import FileView
from wancore.errors import CheckpointError


@dataclass(frozen=True)
class Rename:
    """One rule: `theirs` in the file is `ours` in the module.

    In `theirs`, a segment `N` stands for a number, `*` for any one segment, a final `**` for the
    rest; `ours` repeats them in the same order. Several names in `ours` are equal blocks of rows.
    """

    theirs: str
    ours: tuple[str, ...]

    def targets(self, name: str) -> tuple[str, ...] | None:
        """What `name` becomes, or None where the rule is not about it."""
        match = pattern(self.theirs).fullmatch(name)
        if match is None:
            return None
        return tuple(filled(template, match.groups()) for template in self.ours)


def rename(theirs: str, *ours: str) -> Rename:
    return Rename(theirs, ours)


@dataclass(frozen=True)
class Layout:
    """One way of naming a model's tensors.

    `anchor`: a name that every such file has; what stands before it is the prefix of the whole model.
    `unused`: names (as in `Rename.theirs`) that such files may hold and the module does not need.
    """

    anchor: str
    renames: tuple[Rename, ...]
    unused: tuple[str, ...] = ()

    def targets(self, name: str) -> tuple[str, ...]:
        """What `name` becomes: nothing where it is unused, itself where it is unknown."""
        if any(pattern(unused).fullmatch(name) for unused in self.unused):
            return ()
        for rule in self.renames:
            if (found := rule.targets(name)) is not None:
                return found
        return (name,)


def canonical(view: FileView, layouts: Sequence[Layout], model: str) -> FileView:
    """`view` with the module's names, by the first layout whose anchor it has.

    Where the anchor has a prefix, everything outside that prefix belongs to other models of the file.
    Unknown names keep theirs, so that loading reports them. Raises `CheckpointError` where no layout fits.
    """
    for layout in layouts:
        prefix = anchor_prefix(view, layout.anchor)
        if prefix is not None:
            return mapped(view, layout, prefix)
    anchors = " or ".join(repr(layout.anchor) for layout in layouts)
    raise CheckpointError(view.path, f"holds no {model}: none of its keys is {anchors}")


def anchor_prefix(view: FileView, anchor: str) -> str | None:
    """What stands before `anchor` in this file ('' or 'some.thing.'); None where the anchor is absent."""
    if anchor in view:
        return ""
    found = [name for name in view.entries if name.endswith("." + anchor)]
    return found[0].removesuffix(anchor) if len(found) == 1 else None


def mapped(view: FileView, layout: Layout, prefix: str) -> FileView:
    whole: dict[str, str] = {}
    fused: dict[str, tuple[str, ...]] = {}
    origin: dict[str, str] = {}
    for name in view.entries:
        if not name.startswith(prefix):
            continue
        targets = layout.targets(name.removeprefix(prefix))
        for target in targets:
            if target in origin:
                raise CheckpointError(view.path, f"means the same tensor as {origin[target]!r}", name)
            origin[target] = name
        if len(targets) == 1:
            whole[name] = targets[0]
        elif targets:
            whole[name], fused[name] = name, targets
    return view.renamed(whole).split_rows(fused)


def shape(view: FileView, name: str, dims: int) -> tuple[int, ...]:
    """The shape of a tensor that sizes are read from. Raises `CheckpointError` where it cannot be."""
    if name not in view:
        raise CheckpointError(view.path, "is missing", name)
    if len(view.shape(name)) != dims:
        raise CheckpointError(view.path, f"has shape {list(view.shape(name))}, not {dims} dimensions", name)
    return view.shape(name)


def count(view: FileView, prefix: str) -> int:
    """How many numbered parts `prefix.0`, `prefix.1`, … there are. Raises `CheckpointError` for none."""
    numbers = {int(m.group(1)) for name in view.entries if (m := numbered(prefix).match(name))}
    if not numbers:
        raise CheckpointError(view.path, f"holds no {prefix}.0")
    return max(numbers) + 1


@cache
def numbered(prefix: str) -> re.Pattern[str]:
    return re.compile(re.escape(prefix) + r"\.(\d+)\.")


@cache
def pattern(name: str) -> re.Pattern[str]:
    wild = {"N": r"(\d+)", "*": r"([^.]+)", "**": r"(.+)"}
    return re.compile(r"\.".join(wild.get(part, re.escape(part)) for part in name.split(".")))


def filled(template: str, captured: Sequence[str]) -> str:
    """`template` with its wild segments replaced by what was captured, in order."""
    values = iter(captured)
    return ".".join(next(values) if part in ("N", "*", "**") else part for part in template.split("."))
