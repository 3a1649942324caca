"""How much of a GPU's memory may be used, and how weights are laid out within it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from wancore.errors import MemoryShortage
from wancore.runtime.amounts import parse_amount
from wancore.runtime.swap.swap import SLOTS, stays

#: Of a GPU's memory, beside tensors: the context, kernels and libraries, and what splits leave unused.
OVERHEAD = 700 * 10**6


@dataclass(frozen=True)
class Budget:
    """`nbytes` of device memory for this process, and where the number comes from."""

    nbytes: int
    source: str

    @classmethod
    def of(cls, text: str | None, total: int, free: int) -> Budget:
        """What the user gives, else what is free. `total`, `free`: of the device, in bytes; `text` as
        `parse_amount` reads it."""
        if text is None:
            return cls(free, "what is free")
        amount, share = parse_amount(text)
        return cls(int(amount * total if share else amount), f"vram = {text}")

    @property
    def tensors(self) -> int:
        """What is left for tensors."""
        return max(0, self.nbytes - OVERHEAD)


@dataclass(frozen=True)
class Needs:
    """Bytes on the device. `blocks`: of each, with all that acts in it; `rest`: weights outside of blocks;
    `working`: what a forward, or whatever else runs beside the weights, needs at its peak; `rare`: parts of
    blocks that are used once for each text, not in every forward."""

    blocks: tuple[int, ...]
    rest: int
    working: int
    rare: tuple[int, ...] = ()

    def with_resident(self, count: int, slots: int, rare: bool = False) -> int:
        """In all, with `count` blocks that stay and the others passing through `slots`; `rare`: whether the
        rare parts stay."""
        kept = [stays(i, len(self.blocks), count) for i in range(len(self.blocks))]
        resident = sum(size for size, stay in zip(self.blocks, kept, strict=True) if stay)
        moving = [size for size, stay in zip(self.blocks, kept, strict=True) if not stay]
        moving += [] if rare else self.rare
        resident += sum(self.rare) if rare else 0
        return self.rest + self.working + resident + min(slots, len(moving)) * max(moving, default=0)

    @property
    def resident(self) -> int:
        """With everything on the device."""
        return self.with_resident(len(self.blocks), 0, rare=True)

    @property
    def least(self) -> int:
        """With every block in host memory but one."""
        return self.with_resident(0, 1)


@dataclass(frozen=True)
class MemoryPlan:
    """How a transformer's weights are laid out: `resident` blocks stay, the others pass through `slots`;
    `rare`: the rare parts stay, too."""

    needs: Needs
    budget: Budget
    resident: int
    slots: int
    rare: bool = False

    @property
    def whole(self) -> bool:
        """Whether all weights are on the device."""
        return not self.swapped and (self.rare or not self.needs.rare)

    @property
    def swapped(self) -> int:
        return len(self.needs.blocks) - self.resident

    @property
    def device_bytes(self) -> int:
        return self.needs.with_resident(self.resident, self.slots, self.rare)

    @property
    def host_bytes(self) -> int:
        count = len(self.needs.blocks)
        blocks = sum(s for i, s in enumerate(self.needs.blocks) if not stays(i, count, self.resident))
        return blocks + (0 if self.rare else sum(self.needs.rare))

    def describe(self) -> str:
        """One line for a person."""
        used, allowed = gigabytes(self.device_bytes + OVERHEAD), gigabytes(self.budget.nbytes)
        start = f"memory: {used} of {allowed} ({self.budget.source})"
        if self.whole:
            return f"{start}, all weights on the device"
        what = (
            f"{self.swapped} of {len(self.needs.blocks)} blocks"
            if self.swapped
            else "what makes keys of text"
        )
        passing = f", {self.slots} passing at a time" if self.swapped else ""
        return f"{start}, {what} in host memory ({gigabytes(self.host_bytes)}){passing}"


def plan_memory(needs: Needs, budget: Budget) -> MemoryPlan:
    """As many blocks on the device as the budget takes. Raises `MemoryShortage`."""
    count = len(needs.blocks)
    if needs.resident <= budget.tensors:
        return MemoryPlan(needs, budget, count, 0, rare=True)
    for slots in (SLOTS, 1):
        for resident in range(count if needs.rare else count - 1, -1, -1):
            if needs.with_resident(resident, slots) <= budget.tensors:
                return MemoryPlan(needs, budget, resident, slots)
    raise MemoryShortage(needs.least + OVERHEAD, budget.nbytes, would_fit(needs, budget))


def would_fit(needs: Needs, budget: Budget) -> str:
    """What a user can change so that it fits."""
    options = [f"{gigabytes(needs.least + OVERHEAD)} of memory"]
    weights = needs.least - needs.working
    room = budget.tensors - weights
    if 0 < room < needs.working:
        options.append(f"{100 * room / needs.working:.0f} % of the tokens (fewer frames or a smaller size)")
    options.append("weights in fp8" if room <= 0 else "overlapping windows")
    return ", or ".join(options)


def device_memory(device: torch.device) -> tuple[int, int]:
    """(total, available) bytes: what is free, and what this process has already."""
    if device.type != "cuda":
        from wancore.checkpoints.memory import available_memory

        free = available_memory() or 0
        return free, free
    free, total = torch.cuda.mem_get_info(device)
    return total, free + torch.cuda.memory_reserved(device)


def gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
