"""Applying adapters to a model: read, matched to its parameters, each change put where it costs least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from wancore.checkpoints.canonical import NOTHING
from wancore.checkpoints.keymap import KeyMap
from wancore.errors import CheckpointError, InvalidInput
from wancore.lora.applied import AppliedLoras, Editing, Lora, claim
from wancore.lora.branch import Branches
from wancore.lora.choose import Choice, Facts, Mode, Placed, choose
from wancore.lora.in_floats import InFloats
from wancore.lora.merge import Merged
from wancore.lora.names import NameTable
from wancore.lora.originals import Originals
from wancore.lora.read import LoraFile, Patch, read_lora
from wancore.lora.slots import compute_dtype, find_slots
from wancore.lora.spec import LoraSpec
from wancore.lora.statistics import Statistics
from wancore.lora.streaming import Ahead, Streamed
from wancore.lora.terms import Change, changes_of

Expert = Literal["", "high", "low"]


@dataclass(frozen=True)
class LoraOptions:
    """How adapters are applied.

    `mode`, `streaming`: see `choose`. `timing`: measure every use. `widen`: let a control LoRA widen the
    patch embedding; its caller then feeds the further channels.
    """

    mode: Mode = "auto"
    streaming: bool = True
    timing: bool = False
    widen: bool = False


@dataclass(frozen=True)
class Target:
    """What adapters are applied to: a loaded transformer and the modules attached to it.

    `originals`: what weights start from when adapters are merged into them, kept between requests.
    `spellings`: diffusers' names of attached modules. `swapped`: prefixes of blocks that are not always on
    the device; within `editing()` every weight is at hand and may be changed. `device`: where the model
    computes, None for where its weights are.
    """

    model: nn.Module
    attached: tuple[nn.Module, ...] = ()
    originals: Originals = field(default_factory=Originals)
    spellings: KeyMap = NOTHING
    swapped: tuple[str, ...] = ()
    editing: Editing = nullcontext
    device: torch.device | None = None

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        return self.model, *self.attached


DEFAULTS = LoraOptions()


def apply_loras(
    target: Target | nn.Module,
    loras: Sequence[Lora],
    options: LoraOptions = DEFAULTS,
    *,
    expert: Expert = "",
) -> AppliedLoras:
    """Applies adapters to a transformer and what is attached to it, at the strengths of step 0.

    `expert`: which one of two it is; adapters for the other are left aside, as are those of strength 0
    throughout. Raises `CheckpointError` for a file that does not fit, `InvalidInput` for an adapter that
    cannot be used here, and nothing is changed then.
    """
    if isinstance(target, nn.Module):
        target = Target(target)
    slots = find_slots(target.modules)
    table = NameTable({name: slot.shape for name, slot in slots.items()}, target.spellings)
    used = [lora for lora in loras if concerns(lora.spec, expert) and any(lora.spec.strength)]
    files = [read(lora, table) for lora in used]
    changes = changes_of(slots, selected(used, files, expert))
    refuse_widening(changes, used, options)
    choices = {name: choice_for(change, used, target, options) for name, change in changes.items()}
    statistics = Statistics(options.timing)
    claim(target.modules)
    applied = AppliedLoras(target.modules, used, files, changes, choices, slots, statistics, target.editing)
    with target.editing():
        try:
            place(applied, target)
            applied.set_step(0)
        except BaseException:
            applied.restore()
            raise
    return applied


def concerns(spec: LoraSpec, expert: Expert) -> bool:
    if spec.expert is not None and spec.expert not in ("high", "low"):
        raise InvalidInput("loras.expert", spec.expert, "high or low")
    if spec.expert is not None and not expert:
        raise InvalidInput("loras.expert", spec.expert, "nothing: this model has no experts")
    return spec.expert in (None, expert)


def read(lora: Lora, table: NameTable) -> LoraFile:
    comfyui = lora.spec.dora == "comfyui"
    return read_lora(lora.held or lora.path, table, allow_unmatched=lora.spec.partial, original_norm=comfyui)


def selected(
    loras: Sequence[Lora], files: Sequence[LoraFile], expert: Expert
) -> list[tuple[int, str, Patch]]:
    """(adapter, its identity, patch) of all that the filters let through.

    Raises `InvalidInput` where an adapter's filters leave nothing of it.
    """
    found = []
    for index, (lora, file) in enumerate(zip(loras, files, strict=True)):
        wanted = [None, expert == "low"] if expert else [None, False]
        own = [p for p in file.patches if p.second_expert in wanted and lora.spec.covers(p.parameter)]
        if not own:
            raise InvalidInput("loras", lora.spec.name, "filters that leave something of it for this expert")
        identity = f"{lora.path} {lora.spec!r}"
        found += [(index, identity, patch) for patch in own]
    return found


def refuse_widening(changes: Mapping[str, Change], loras: Sequence[Lora], options: LoraOptions) -> None:
    for name, change in changes.items():
        if change.widens and not options.widen:
            channels = f"{change.slot.shape[1]} to {change.shape[1]}"
            widest = max(change.terms, key=lambda term: term.shape[1])
            problem = f"is a control LoRA, which widens it from {channels} channels for a control video"
            raise CheckpointError(loras[widest.adapter].path, f"{problem}; nothing here feeds one", name)


def choice_for(change: Change, loras: Sequence[Lora], target: Target, options: LoraOptions) -> Choice:
    slot = change.slot
    facts = Facts(
        block_linear=slot.block_linear,
        low_rank=change.low_rank,
        scheduled=not all(loras[adapter].spec.constant for adapter in change.adapters),
        quantised=slot.quantised,
        master=target.originals.has_master(slot.name),
        swapped=slot.name.startswith(target.swapped),
    )
    return choose(facts, options.mode, options.streaming)


def place(applied: AppliedLoras, target: Target) -> None:
    """Makes room for every change in the way that was chosen; strengths are set afterwards."""
    dtype = compute_dtype(target.model)
    by_way: dict[Placed, list[Change]] = {}
    for name, choice in applied.choices.items():
        by_way.setdefault(choice.placed, []).append(applied.changes[name])
    for change in (*by_way.get("merged", []), *by_way.get("requantised", [])):
        applied.merged[change.slot.name] = Merged(change, target.originals, target.device)
    for change in by_way.get("held in floats", []):
        applied.in_floats[change.slot.name] = InFloats(change, dtype)
    place_streamed(applied, target, by_way.get("streaming", []), dtype)
    if branched := by_way.get("on-the-fly"):
        with applied.statistics.stage("stacking"):
            applied.branches = Branches(branched, dtype, applied.statistics)


def place_streamed(
    applied: AppliedLoras, target: Target, changes: Sequence[Change], dtype: torch.dtype
) -> None:
    travels = {change.slot.name: change.slot.name.startswith(target.swapped) for change in changes}
    ahead = copies_ahead([c for c in changes if not travels[c.slot.name]], dtype, target.device)
    for change in changes:
        name = change.slot.name
        applied.streamed[name] = Streamed(
            change, dtype, applied.statistics, ahead, target.device, travels[name]
        )


def copies_ahead(changes: Sequence[Change], dtype: torch.dtype, device: torch.device | None) -> Ahead | None:
    """Shared by all layers; None on a CPU."""
    if not changes:
        return None
    device = device or changes[0].slot.device
    if device.type != "cuda":
        return None
    return Ahead(device, dtype, max(torch.Size(change.shape).numel() for change in changes))
