"""Swapping: which units stay on the device, which pass through it, and what is copied next.

Weights are only read, so the host's master is copied in and never back. A swapped unit's tensors are views
of a slot on the device; before any of its modules runs, the unit is brought in. While it is used, those that
followed it the last time are copied to the other slots on a side stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wancore.quant.weight import Weight
from wancore.runtime.swap.copies import Copies, copies_for
from wancore.runtime.swap.unit import LEAST_BYTES, Unit, occurrences

SLOTS = 2  # one in use, one being filled


@dataclass
class Slot:
    """A buffer on the device; `unit`: whose weights it holds or is about to; `turn`: of its last use."""

    index: int
    buffer: Tensor
    unit: Unit | None = None
    turn: int = 0


@dataclass
class Counts:
    """`copied`: copies started; `waited`: those that were started only when they were needed."""

    copied: int = 0
    waited: int = 0
    nbytes: int = 0


class Swap:
    """Units in the order in which a forward uses them, on one device.

    `engage` puts the weights where they belong, `release` puts the swapped ones into host memory, where
    they can be changed; `editing` does both around a change; `park` leaves nothing large on the device.
    `resident`: how many of the units stay, those apart that are rare (`rare_resident`: whether these do).
    `least`: bytes from which a tensor moves. `keep_masters`: resident units keep their copy in host memory,
    so that they can leave and come back without being copied out.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        device: torch.device,
        resident: int,
        slots: int = SLOTS,
        copies: Copies | None = None,
        least: int = LEAST_BYTES,
        rare_resident: bool = False,
    ) -> None:
        if device == torch.device("cuda"):  # tensors name the very device they are on
            device = torch.device("cuda", torch.cuda.current_device())
        self.units, self.device, self.least = list(units), device, least
        self.resident, self.slot_count, self.keep_masters = resident, slots, False
        self.rare_resident = rare_resident
        self.copies = copies or copies_for(device)
        self.counts = Counts()
        self.engaged = False
        self._slots: list[Slot] = []
        self._current: Unit | None = None
        self._next: dict[Unit, Unit] = {}
        self._turn = 0
        self._editing = 0
        self._handles: list[Any] = []

    @property
    def swapped(self) -> list[Unit]:
        return [unit for unit in self.units if not unit.resident]

    @property
    def slot_bytes(self) -> int:
        return sum(len(slot.buffer) for slot in self._slots)

    @property
    def device_bytes(self) -> int:
        """What its units take on the device, slots included."""
        return sum(unit.nbytes for unit in self.units if unit.resident) + self.slot_bytes

    def engage(self) -> None:
        """Weights to their places. Does nothing where they are there already."""
        if self.engaged:
            return
        self._survey()
        usual = [unit for unit in self.units if not unit.rare]
        for index, unit in enumerate(usual):
            self._settle(unit, stays(index, len(usual), self.resident))
        for unit in self.units:
            if unit.rare:
                self._settle(unit, self.rare_resident)
        self._make_slots()
        for unit in self.swapped:
            unit.point_to(self._slots[0].buffer)  # the right sizes and device; filled when it is used
        self._watch()
        self.engaged = True

    def _survey(self) -> None:
        shared = occurrences(self.units)
        for unit in self.units:
            unit.survey(shared, self.least)

    def _settle(self, unit: Unit, resident: bool) -> None:
        for held in unit.small(self.least):
            held.put(held.tensor.to(self.device))
        unit.resident, unit.slot = resident, None
        if not resident or self.keep_masters:
            unit.pack(self.copies)
        if resident:
            unit.move_to(self.device, self.copies)
            if not self.keep_masters:
                unit.master = None

    def _make_slots(self) -> None:
        largest = max((unit.nbytes for unit in self.swapped), default=0)
        if self._slots and len(self._slots[0].buffer) == largest:
            return
        self._slots = []
        count = min(self.slot_count, len(self.swapped))
        self._slots = [Slot(i, self.copies.device(largest)) for i in range(count)]

    def _watch(self) -> None:
        for unit in self.swapped:
            hook = BringIn(self, unit)
            for module in watched(unit):
                self._handles.append(module.register_forward_pre_hook(hook, prepend=True))

    def use(self, unit: Unit) -> None:
        """To be told before a unit's weights are read by anything but the forwards of its modules."""
        if unit is not self._current and self.engaged and not unit.resident:
            self.bring(unit)

    def bring(self, unit: Unit) -> None:
        """Makes a swapped unit the one in use: computations that follow read its weights."""
        before = self._current
        if before is not None and before.slot is not None:
            self._next[before] = unit
            self.copies.used(before.slot)
        slot = self._slot_of(unit)
        if slot is None:
            self.counts.waited += 1
            slot = self._fill(unit, avoid=None)
        self._turn += 1
        slot.turn = self._turn
        self.copies.await_copy(slot.index)
        self._current = unit
        self._prefetch(unit)

    def _slot_of(self, unit: Unit) -> Slot | None:
        return None if unit.slot is None else self._slots[unit.slot]

    def _prefetch(self, unit: Unit) -> None:
        """Copies those that are likely next to the slots that are not in use."""
        expected: list[Unit] = [unit]
        for _ in self._slots[1:]:
            following = self._next.get(expected[-1], self._after(expected[-1]))
            if following in expected:
                break
            expected.append(following)
        for following in expected[1:]:
            if following.slot is None:
                self._fill(following, avoid=expected)

    def _after(self, unit: Unit) -> Unit:
        swapped = self.swapped
        return swapped[(swapped.index(unit) + 1) % len(swapped)]

    def _fill(self, unit: Unit, avoid: Sequence[Unit] | None) -> Slot:
        """Starts the copy of a unit into the slot that was used longest ago, but not over `avoid`."""
        free = [slot for slot in self._slots if avoid is None or slot.unit not in avoid]
        slot = min(free, key=lambda s: (s.unit is self._current and len(free) > 1, s.turn))
        if slot.unit is not None:
            slot.unit.slot = None
        assert unit.master is not None
        self.copies.start(slot.index, slot.buffer, unit.master)
        self.counts.copied += 1
        self.counts.nbytes += unit.nbytes
        slot.unit, unit.slot = unit, slot.index
        unit.point_to(slot.buffer)
        return slot

    def release(self) -> None:
        """Swapped weights into host memory, the slots given back; resident ones stay where they are."""
        if not self.engaged:
            return
        self.copies.finish()
        for handle in self._handles:
            handle.remove()
        self._handles = []
        for unit in self.swapped:
            assert unit.master is not None
            unit.point_to(unit.master)
            unit.slot = None
        self._slots, self._current, self._turn = [], None, 0
        self._next.clear()
        self.engaged = False

    def park(self) -> None:
        """Every unit into host memory, until `engage`."""
        self.release()
        self._survey()
        for unit in self.units:
            if unit.resident and unit.master is not None:
                unit.point_to(unit.master)
            unit.pack(self.copies)
            unit.resident = False

    @contextmanager
    def editing(self) -> Iterator[None]:
        """While in use, every weight holds its own values and may be changed or replaced."""
        was_engaged, self._editing = self.engaged, self._editing + 1
        self.release()
        for unit in self.units:
            if unit.resident:
                unit.master = None  # what is on the device may change
        try:
            yield
        finally:
            self._editing -= 1
            if was_engaged and not self._editing:
                self.engage()

    def keep_resident(self, count: int) -> None:
        """Another number of units that stay on the device."""
        with self.editing():
            self.resident = count


class BringIn:
    """A hook before a module's forward that leaves what goes in and comes out alone."""

    def __init__(self, swap: Swap, unit: Unit) -> None:
        self.swap, self.unit = swap, unit

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if not torch.compiler.is_compiling():
            self.swap.use(self.unit)


def stays(index: int, count: int, resident: int) -> bool:
    """Whether unit `index` of `count` is one of the `resident` ones, which are spread evenly: the copy of a
    swapped unit then has the time of those around it."""
    return (index + 1) * resident // count > index * resident // count


def watched(unit: Unit) -> list[nn.Module]:
    """The modules of a unit whose forward reads weights that move, in themselves or below."""
    moving = {id(h.module) for h in unit.held}
    found: dict[int, nn.Module] = {}
    for root in unit.modules:
        for module in root.modules():
            if not isinstance(module, Weight) and any(id(m) in moving for m in module.modules()):
                found[id(module)] = module
    return list(found.values())
