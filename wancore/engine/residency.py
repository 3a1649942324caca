"""Where a model's weights are: as much on the device as the budget takes, the rest in host memory.

One house for each transformer, with the families' adapters on it. Numbers from headers decide where weights
are loaded to; once they are there, their own sizes and the tokens of each forward decide.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from wancore.checkpoints.memory import available_memory
from wancore.engine.units import swap_of
from wancore.errors import CheckpointError, MemoryShortage
from wancore.runtime.budget import Budget, MemoryPlan, Needs, device_memory, gigabytes, plan_memory, would_fit
from wancore.runtime.swap.flat import held_by
from wancore.runtime.swap.unit import LEAST_BYTES
from wancore.transformer.activations import USUAL, Work, activation_bytes
from wancore.transformer.adapter import Adapter
from wancore.transformer.model import WanTransformer

T = TypeVar("T")
#: How much larger the working memory is taken to be after it did not suffice.
MORE = 1.5
#: Of a GPU's memory, what the CUDA context takes beside torch's allocator.
CONTEXT = 500 * 10**6


class House:
    """One transformer with its adapters, and the swap of their weights."""

    def __init__(self, owner: Residency, model: WanTransformer, adapters: Mapping[str, Adapter]) -> None:
        self.owner, self.model, self.adapters = owner, model, dict(adapters)
        self.swap = swap_of(model, adapters, owner.device, least=owner.least)
        self.plan: MemoryPlan | None = None
        self.settled = self.on_host = False
        self.stale = True  # a request has begun: its work decides anew
        self.margin = 1.0  # on the estimate of the working memory, after it did not suffice
        self.work = owner.work

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Of the blocks that are not always on the device, as parameters are named: all or none, since
        their number changes with the work."""
        if self.plan is None or self.plan.whole:
            return ()
        if self.plan.swapped:
            return tuple(f"{unit.name}." for unit in self.swap.units)
        rare = [unit.name for unit in self.swap.units if unit.rare]
        return tuple(f"{name}.{end}" for name in rare for end in "kv")

    @contextmanager
    def editing(self) -> Iterator[None]:
        """As `Swap.editing`. Where what moves has another size afterwards (differences travel beside the
        weights, or no longer do), the next forward decides anew what stays on the device."""
        engaged = self.swap.engaged
        self.swap.release()
        before = self.moving()
        try:
            with self.swap.editing():
                yield
        finally:
            if engaged and self.moving() == before:
                self.swap.engage()

    def moving(self) -> list[int]:
        """Bytes of each unit."""
        return [sum(h.tensor.nbytes for h in unit.all_held()) for unit in self.swap.units]

    def needs(self) -> Needs:
        """By the weights as they are now, and all else that is on the device."""
        roots = [self.model, *self.adapters.values()]
        sizes = [(unit.rare, size) for unit, size in zip(self.swap.units, self.moving(), strict=True)]
        blocks, keys = (tuple(size for rare, size in sizes if rare is kind) for kind in (False, True))
        rest = sum(h.tensor.nbytes for h in held_by(roots)) - sum(blocks) - sum(keys)
        working = int(self.margin * activation_bytes(self.model.config, self.work))
        return Needs(blocks, rest + self.owner.beside(self), working, keys)

    def on_device(self) -> int:
        """Bytes of its weights and slots that are on the device."""
        if not self.settled and self.on_host:
            return 0
        passing = {(id(h.module), h.name) for unit in self.swap.swapped for h in unit.held}
        return self.swap.slot_bytes + sum(
            h.tensor.nbytes
            for h in held_by([self.model, *self.adapters.values()])
            if h.tensor.device.type == self.owner.device.type and (id(h.module), h.name) not in passing
        )

    def settle(self, plan: MemoryPlan | None = None) -> MemoryPlan:
        """Moves weights to where a plan wants them. Raises `MemoryShortage`."""
        plan = plan or plan_memory(self.needs(), self.owner.budget())
        swap = self.swap
        same = (plan.resident, plan.slots, plan.rare) == (swap.resident, swap.slot_count, swap.rare_resident)
        if not (same and self.swap.engaged):
            self.swap.release()
            swap.resident, swap.slot_count, swap.rare_resident = plan.resident, plan.slots, plan.rare
            self.place_rest()
            self.swap.engage()
        self.plan, self.settled, self.stale = plan, True, False
        return plan

    def place_rest(self) -> None:
        """What belongs to no block, on the device."""
        inside = {id(h.module) for unit in self.swap.units for h in held_by(unit.modules)}
        for held in held_by([self.model, *self.adapters.values()]):
            if id(held.module) not in inside:
                held.put(held.tensor.to(self.owner.device))

    def ready(self, rows: int | None = None) -> None:
        """Weights in their places, for a forward over so many rows; other transformers make room.

        Within a request the places only change for more rows than before.
        """
        more = rows is not None and rows > self.work.rows
        if more and rows is not None:
            self.work = replace(self.work, rows=rows)
        if more or self.stale or not self.swap.engaged:
            self.owner.make_way(self)
            told = self.plan if self.settled else None
            plan = self.settle()
            if not plan.whole and (told is None or told.describe() != plan.describe()):
                self.owner.notes.append(plan.describe())

    def run(self, rows: int, forward: Callable[[], T]) -> T:
        """A forward over so many rows; once more with less on the device if memory runs out.

        Raises `MemoryShortage` where that does not help.
        """
        self.ready(rows)
        try:
            return forward()
        except torch.OutOfMemoryError as error:
            failed = str(error)  # the error itself holds the tensors of the forward
        self.owner.empty()
        smaller = self.smaller()
        if smaller is None:
            raise self.shortage(failed)
        self.settle(smaller)
        self.owner.notes.append(f"GPU memory ran out; once more with {smaller.describe()}")
        try:
            return forward()
        except torch.OutOfMemoryError as error:
            failed = str(error)
        self.owner.empty()
        raise self.shortage(failed)

    def smaller(self) -> MemoryPlan | None:
        """A plan with more room to work in; None where everything has left the device already."""
        assert self.plan is not None
        if self.plan.resident == 0 and self.plan.slots == 1:
            return None
        self.margin *= MORE
        needs = replace(self.plan.needs, working=int(self.plan.needs.working * MORE))
        try:
            plan = plan_memory(needs, self.owner.budget())
        except MemoryShortage:
            return MemoryPlan(needs, self.owner.budget(), 0, 1)
        if replace(plan, needs=self.plan.needs) != replace(self.plan, budget=plan.budget):
            return plan
        return MemoryPlan(needs, plan.budget, self.plan.resident // 2, 2 if self.plan.resident else 1)

    def shortage(self, failed: str) -> MemoryShortage:
        """What ran out, after both attempts. `failed`: the allocator's words."""
        assert self.plan is not None
        needs = replace(self.plan.needs, working=self.plan.needs.working + asked_for(failed))
        budget = self.owner.budget()
        return MemoryShortage(needs.least, budget.nbytes, would_fit(needs, budget))


def asked_for(message: str) -> int:
    """Bytes of the allocation that failed, where the allocator says it."""
    match = re.search(r"Tried to allocate ([\d.]+) (B|KiB|MiB|GiB)", message)
    if match is None:
        return 0
    return int(float(match[1]) * {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[match[2]])


def numbered(device: torch.device) -> torch.device:
    """With its number, as tensors name the device they are on; no GPU is started for it."""
    if device == torch.device("cuda"):
        return torch.device("cuda", torch.cuda.current_device() if torch.cuda.is_initialized() else 0)
    return device


def check_host(needs: Mapping[Path, Needs], plans: Mapping[Path, MemoryPlan]) -> None:
    """Raises `CheckpointError` where host memory is too small: experts that take turns are there whole."""
    whole = {path: sum(n.blocks) + sum(n.rare) for path, n in needs.items()}
    needed = sum(whole.values()) if len(needs) > 1 else sum(plan.host_bytes for plan in plans.values())
    free = available_memory()
    if free is not None and needed > free:
        problem = f"needs {gigabytes(needed)} of host memory beside the GPU's, {gigabytes(free)} are free"
        raise CheckpointError(next(iter(needs)), f"{problem}; allow more GPU memory, or take weights in fp8")


@dataclass(frozen=True)
class Expected:
    """From headers: what a transformer will need, and whether it is loaded to host memory first."""

    plan: MemoryPlan
    to_host: bool


class Residency:
    """The houses of one model's transformers on one device. `vram`: what the user allows, None: what is free.

    `least`: see `Swap`. `notes`: what a person may want to know, to be taken away by whoever shows it.
    """

    def __init__(self, device: torch.device, vram: str | None = None, least: int = LEAST_BYTES) -> None:
        self.device, self.vram, self.least = numbered(device), vram, least
        self.houses: dict[Path, House] = {}
        self.expected: dict[Path, Expected] = {}
        self.work = USUAL
        self.notes: list[str] = []

    def keep_to_budget(self) -> None:
        """What torch may take in all: a promise, where the user gave a number."""
        total, _ = device_memory(self.device)
        limit = self.budget().nbytes - CONTEXT if self.vram is not None else total
        torch.cuda.set_per_process_memory_fraction(min(1.0, max(0.0, limit / total)), self.device)

    @property
    def bounded(self) -> bool:
        """Whether the user gave a number that all else has to keep to as well."""
        return self.device.type == "cuda" and self.vram is not None

    def begin(self, work: Work) -> None:
        """A request's usual forward."""
        if self.device.type == "cuda":
            self.keep_to_budget()
        self.work = work
        for house in self.houses.values():
            house.stale = True

    def budget(self) -> Budget:
        total, available = device_memory(self.device)
        return Budget.of(self.vram, total, available)

    def expect(self, needs: Mapping[Path, Needs], work: Work) -> list[MemoryPlan]:
        """Plans from headers, before anything is loaded. Raises `MemoryShortage`, or `CheckpointError` where
        the host has too little memory for what the device does not hold."""
        self.work = work
        plans, together = self.plans(needs)
        if not together:
            check_host(needs, plans)
        for path, plan in plans.items():
            self.expected[path] = Expected(plan, not together)
        return list(plans.values())

    def plans(self, needs: Mapping[Path, Needs]) -> tuple[dict[Path, MemoryPlan], bool]:
        """A plan for each transformer while it runs, and whether all fit as a whole at once.

        Raises `MemoryShortage`.
        """
        budget = self.budget()
        together = sum(n.resident - n.working for n in needs.values()) + max(
            n.working for n in needs.values()
        )
        plans = {}
        for path, own in needs.items():
            others = sum(n.rest for other, n in needs.items() if other != path)
            plans[path] = plan_memory(replace(own, rest=own.rest + others), budget)
        return plans, together <= budget.tensors

    def loads_to(self, path: Path) -> torch.device:
        expected = self.expected.get(path)
        return torch.device("cpu") if expected is not None and expected.to_host else self.device

    def adopt(self, path: Path, model: WanTransformer, adapters: Mapping[str, Adapter]) -> House:
        """A transformer with all adapters that are loaded for it; others than before make a new house."""
        house = self.houses.get(path)
        if house is None or house.adapters != dict(adapters):
            if house is not None:
                house.swap.release()
            house = self.houses[path] = House(self, model, adapters)
            house.swap.keep_masters = len(self.expected) > 1
            if path in self.expected:
                house.plan, house.on_host = self.expected[path].plan, self.expected[path].to_host
        if house.stale:
            house.work = self.work
        return house

    def beside(self, house: House) -> int:
        """Bytes on the device that are not this house's."""
        if self.device.type != "cuda":
            return sum(other.on_device() for other in self.houses.values() if other is not house)
        return max(0, torch.cuda.memory_allocated(self.device) - house.on_device())

    def make_way(self, house: House) -> None:
        """Others leave the device if they do not fit beside this one."""
        others = [o for o in self.houses.values() if o is not house and o.swap.engaged]
        if others and house.needs().resident > self.budget().tensors:
            for other in others:
                other.swap.park()
            self.empty()

    @property
    def swapping(self) -> bool:
        """Whether some transformer is not on the device as a whole."""
        return any(house.plan is not None and house.plan.swapped for house in self.houses.values())

    def room_for(self, network: nn.Module) -> int:
        """Bytes on the device for a network that visits; transformers leave if that is too little."""
        size = sum(held.tensor.nbytes for held in held_by([network]))
        if size > self.room() and self.leave_all():
            self.empty()
        return self.room()

    def room(self) -> int:
        """What the budget leaves beside what is there, but for a tenth that the network computes in."""
        if self.device.type == "cuda":
            used = torch.cuda.memory_allocated(self.device)
        else:
            used = sum(house.on_device() for house in self.houses.values() if house.swap.engaged)
        return max(0, int(0.9 * (self.budget().tensors - used)))

    def leave_all(self) -> bool:
        """Every block into host memory; False if none was on the device."""
        there = [house for house in self.houses.values() if house.swap.engaged]
        for house in there:
            house.swap.park()
        self.empty()
        return bool(there)

    def empty(self) -> None:
        """Gives back what torch holds unused."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def take_notes(self) -> list[str]:
        notes, self.notes = self.notes, []
        return notes
