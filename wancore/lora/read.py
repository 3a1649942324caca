"""Reading a LoRA file of any format into changes of a model's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from wancore.checkpoints.listing import counted, few
from wancore.checkpoints.open import open_view
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.lora.deltas import Delta, LowRank, Shape
from wancore.lora.foreign import refuse_foreign
from wancore.lora.group import Group, changed_shape
from wancore.lora.held import HeldFile
from wancore.lora.keys import Key, Place, Role, in_diffusers_names, parse_key, place
from wancore.lora.names import NameTable, is_image_branch
from wancore.lora.scale import find_scales


@dataclass(frozen=True)
class Patch:
    """A change of one parameter, by canonical name.

    `shape`: of the parameter once changed. `second_expert`: which expert of two it was trained for, where
    the file's keys say so.
    """

    parameter: str
    shape: Shape
    delta: Delta
    second_expert: bool | None = None


@dataclass(frozen=True)
class LoraFile:
    """What a file changes. `left_out`: keys of an image branch that the model does not have; `unmatched`:
    other keys without a place in it; `notes`: what a user should know."""

    path: Path
    patches: tuple[Patch, ...]
    left_out: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Sorted:
    """Keys by the module that they mean, and those that mean none."""

    groups: dict[tuple[str, bool], dict[Role, Key]] = field(default_factory=dict)
    places: dict[tuple[str, bool], Place] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)


def read_lora(
    source: HeldFile | FileView | Path | str,
    table: NameTable,
    *,
    allow_unmatched: bool = False,
    original_norm: bool = False,
) -> LoraFile:
    """The changes in a LoRA file, for a model with the parameters of `table`.

    Tensors stay views of the file until they are used. `allow_unmatched`: report keys without a place in
    the model instead of refusing them. `original_norm`: how files with `dora_scale` are meant (see `Dora`).
    Raises `CheckpointError`, naming the key: unmatched, incomplete, of another shape, not finite; for files
    of families that only look like a LoRA; and for files that change nothing.
    """
    opened = source if isinstance(source, HeldFile | FileView) else open_view(source)
    view = opened.view if isinstance(opened, HeldFile) else opened
    refuse_foreign(view)
    found = fitting(view, table, allow_unmatched)
    known_finite = opened.finite if isinstance(opened, HeldFile) else set[str]()
    with opened.reader() as reader:
        patches, notes = read_groups(view, found, table, original_norm, reader.tensor, known_finite)
    if not patches:
        raise CheckpointError(view.path, "changes nothing of this model")
    if found.left_out:
        skipped = f"{len(found.left_out)} keys left out ({few(found.left_out)})"
        notes.append(f"{skipped}: this model has no image branch")
    if found.unmatched:
        notes.append(f"{counted('of no module of this model, left out', found.unmatched)}")
    return LoraFile(view.path, tuple(patches), tuple(found.left_out), tuple(found.unmatched), tuple(notes))


def fitting(view: FileView, table: NameTable, allow_unmatched: bool) -> Sorted:
    """The keys of a file by what they mean. Raises `CheckpointError` where some fit nothing, or none fit."""
    found = sort_keys(view, table)
    if found.unmatched and not allow_unmatched:
        problem = f"does not fit this model: {counted('of no module of it', found.unmatched)}"
        fit = f"{len(found.groups)} modules fit"
        raise CheckpointError(view.path, f"{problem}; {fit}; with partial=true the others are left out")
    if not found.groups:
        raise CheckpointError(view.path, "changes nothing of this model")
    return found


def sort_keys(view: FileView, table: NameTable) -> Sorted:
    parsed = {name: parse_key(name) for name in view.entries}
    diffusers = in_diffusers_names([key.stem for key in parsed.values() if key is not None])
    places: dict[str, Place | None] = {}
    found = Sorted()
    for name, key in parsed.items():
        if key is not None and key.stem not in places:
            places[key.stem] = place(key.stem, table, diffusers)
        where = places[key.stem] if key is not None else None
        if key is None or where is None:
            image = is_image_branch(name) and not table.has_image_branch
            (found.left_out if image else found.unmatched).append(name)
            continue
        module = (where.module, where.second_expert)
        group = found.groups.setdefault(module, {})
        found.places.setdefault(module, where)
        if key.role in group:
            other = group[key.role].name
            raise CheckpointError(view.path, f"and {other!r} are the same tensor of {where.module}", name)
        group[key.role] = key
    return found


def read_groups(
    view: FileView,
    found: Sorted,
    table: NameTable,
    original_norm: bool,
    read: Callable[[str], Tensor],
    known_finite: set[str],
) -> tuple[list[Patch], list[str]]:
    """The changes of every group, and notes about them."""
    ranks = {
        module: view.shape(group["down"].name)[0]
        for (module, _), group in found.groups.items()
        if "down" in group and view.shape(group["down"].name)
    }
    scales = find_scales(view, ranks, any(where.raw_peft for where in found.places.values()))
    two_experts = any(second for _, second in found.groups)
    patches: list[Patch] = []
    without_alpha = False
    for (module, second), keys in found.groups.items():
        spelled = stem_of(keys, found.places[module, second])
        group = Group(view.path, keys, read, known_finite)
        without_alpha |= "down" in keys and "alpha" not in keys
        for part in group.parts(lambda rank, name=spelled: scales.scale(name, rank), original_norm):  # type: ignore[misc]
            name = table.parameter(module, part.leaf)
            if name is None:
                raise CheckpointError(view.path, f"{module} has no {part.leaf} in this model", part.key)
            shape = changed_shape(part.delta, table.shapes[name])
            check(view.path, part.key, part.delta, shape)
            patches.append(Patch(name, shape, part.delta, second if two_experts else None))
    notes = [scales.describe()] if without_alpha and scales.describe() else []
    return patches, notes + silent(patches)


def stem_of(keys: Mapping[Role, Key], where: Place) -> str:
    """What the file calls a module, without prefixes."""
    stem = next(iter(keys.values())).stem
    for prefix in where.prefixes:
        stem = stem.removeprefix(prefix)
    return stem


def check(path: Path, key: str, delta: Delta, shape: Shape) -> None:
    try:
        delta.check(shape)
    except ValueError as error:
        raise CheckpointError(path, f"does not fit the parameter {list(shape)}: {error}", key) from error


def silent(patches: Sequence[Patch]) -> list[str]:
    """A note on pairs with alpha = 0, which some programs take for an alpha that is not given."""
    zero = [p.parameter for p in patches if isinstance(p.delta, LowRank) and p.delta.scale == 0]
    return [f"alpha is 0, so nothing changes, in {len(zero)} modules ({few(zero)})"] if zero else []
