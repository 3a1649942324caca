"""Adapters as a low-rank branch beside a linear: out + ((x down^T) * scales) up^T.

All adapters of a linear are stacked into one pair. Linears that read the same input share the first product;
on Hopper the linear's own product carries the second. Down and up are buffers of the linears' own modules, so
that they move with their block.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wancore.kernels.beside import Beside
from wancore.kernels.codes import plain_rows
from wancore.kernels.low_rank import add_low_rank
from wancore.kernels.product import Factors
from wancore.lora.deltas import LowRank
from wancore.lora.slots import Slot
from wancore.lora.statistics import Statistics
from wancore.lora.terms import Change

#: Linears of an attention that read the same rows, by the ends of their names.
SAME_INPUT = (
    ("self_attn.q", "self_attn.k", "self_attn.v"),
    ("cross_attn.k", "cross_attn.v"),
    ("cross_attn.k_img", "cross_attn.v_img"),
)
RANK_MULTIPLE = 16  # rows of down that tensor cores take at full speed


@dataclass(frozen=True)
class Stack:
    """The pairs of one linear: down [R, in], up [out, R], and of each of the R columns its adapter and
    its factor alpha / r. R may end in columns of zeros."""

    down: Tensor
    up: Tensor
    adapters: Tensor
    factors: Tensor

    @classmethod
    def of(cls, change: Change, dtype: torch.dtype, multiple: int = 1) -> Stack:
        """In the order of the terms; on the device of the weight."""
        device = change.slot.device
        pairs = [(term.adapter, term.delta) for term in change.terms if isinstance(term.delta, LowRank)]
        rank = sum(delta.rank for _, delta in pairs)
        spare = -rank % multiple
        down = torch.cat([delta.down.to(device, dtype).flatten(1) for _, delta in pairs])
        up = torch.cat([delta.up.to(device, dtype).flatten(1) for _, delta in pairs], dim=1)
        adapters = [adapter for adapter, delta in pairs for _ in range(delta.rank)]
        factors = [delta.scale for _, delta in pairs for _ in range(delta.rank)]
        return cls(
            F.pad(down, (0, 0, 0, spare)),
            F.pad(up, (0, spare)),
            torch.tensor(adapters + [0] * spare),
            torch.tensor(factors + [0.0] * spare),
        )


class Down(nn.Module):
    """The first product of one linear, or of several that read the same input: x down^T.

    down [R, in]; `scales` [R] float32 is strength * alpha / r, a tensor, so that a change of strengths
    compiles and captures nothing anew. The second product applies them.
    """

    down: Tensor
    scales: Tensor

    def __init__(self, down: Tensor, members: int) -> None:
        super().__init__()
        self.members = members
        self.register_buffer("down", down, persistent=False)
        scales = torch.zeros(len(down), dtype=torch.float32, device=down.device)
        self.register_buffer("scales", scales, persistent=False)
        self._asked: set[int] = set()
        self._seen: tuple[weakref.ref[Tensor], int] | None = None
        self._product: Tensor | None = None

    def forward(self, x: Tensor, member: int) -> Tensor:
        """x [..., in] -> [..., R]. The same tensor `x` is multiplied once for all members."""
        if self.members == 1 or torch.compiler.is_compiling():
            return self.product(x)
        product = self._product
        if product is None or member in self._asked or not self._is_seen(x):
            product = self._product = self.product(x)
            self._seen, self._asked = (weakref.ref(x), version(x)), set()
        self._asked.add(member)
        if len(self._asked) == self.members:
            self._seen = self._product = None
        return product

    def product(self, x: Tensor) -> Tensor:
        return F.linear(x, self.down.to(x.dtype))

    def set(self, start: int, scales: Tensor) -> None:
        """New scales [n] from column `start` on."""
        self.scales[start : start + len(scales)].copy_(scales)

    def _is_seen(self, x: Tensor) -> bool:
        return self._seen is not None and self._seen[0]() is x and self._seen[1] == version(x)


def version(x: Tensor) -> int:
    """Counts changes in place, where torch keeps count."""
    return 0 if x.is_inference() else x._version


class Branch(nn.Module):
    """The second product of one linear: up [out, R], added to what the linear gave, or summed with it."""

    up: Tensor

    def __init__(self, stack: Stack, down: Down, start: int, statistics: Statistics) -> None:
        super().__init__()
        self.register_buffer("up", stack.up, persistent=False)
        self.adapters, self.factors = stack.adapters, stack.factors
        self.start, self.rank = start, len(stack.factors)
        self._down = [down]  # in a list: the module belongs to the first of the linears that share it
        self._statistics = statistics
        self.ran = False

    @property
    def down(self) -> Tensor:
        return self._down[0].down.narrow(0, self.start, self.rank)

    @property
    def scales(self) -> Tensor:
        return self._down[0].scales.narrow(0, self.start, self.rank)

    def set(self, by_adapter: Tensor) -> None:
        """Strengths by adapter [n], on the CPU."""
        self._down[0].set(self.start, by_adapter[self.adapters] * self.factors)

    def forward(self, x: Tensor, out: Tensor) -> Tensor:
        """`out` [..., out], the linear's own result for x [..., in], with the branch added."""
        return add_low_rank(out, self.first(x).to(out.dtype), self.up.to(out.dtype), self.scales)

    def first(self, x: Tensor) -> Tensor:
        """x [..., in] -> [..., R], strengths not applied."""
        h: Tensor = self._down[0](x, self.start)
        return h.narrow(-1, self.start, self.rank)

    def applied(self, x: Tensor) -> Factors:
        """For x [..., in], strengths applied."""
        h = self.first(x)
        return Factors(torch.mul(h, self.scales, out=h.new_empty(h.shape)), self.up.to(h.dtype))

    @contextmanager
    def in_use(self, device: torch.device) -> Iterator[None]:
        """Notes a use, and its time if that is asked for."""
        self.ran = True
        with self._statistics.timed("on-the-fly", device):
            yield

    def difference(self) -> Tensor:
        """What it adds to the weight, float32 [out, in]."""
        return (self.up.float() * self.scales) @ self.down.float()


class Hook(Beside):
    """Adds a branch to what its linear gave; or the linear's own product asks for the factors and adds it."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch

    @property
    def rank(self) -> int:
        return self.branch.rank

    def factors(self, x: Tensor) -> Factors:
        with self.branch.in_use(x.device):
            return self.branch.applied(x)

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], out: Tensor) -> Tensor:
        x = plain_rows(inputs[0])
        if torch.compiler.is_compiling():
            return self.branch(x, out)
        with self.branch.in_use(out.device):
            return self.branch(x, out)


class Branches:
    """The branches of many linears."""

    def __init__(self, changes: Sequence[Change], dtype: torch.dtype, statistics: Statistics) -> None:
        self.branches: dict[str, Branch] = {}
        self._handles: list[Any] = []
        self._modules: list[tuple[nn.Module, str]] = []
        try:
            self._build(changes, dtype, statistics)
        except BaseException:
            self.remove()
            raise

    def _build(self, changes: Sequence[Change], dtype: torch.dtype, statistics: Statistics) -> None:
        for group in same_input(changes):
            multiple = RANK_MULTIPLE if dtype.itemsize == 2 else 1
            stacks = [Stack.of(change, dtype, multiple) for change in group]
            statistics.built(len(stacks))
            down = Down(torch.cat([stack.down for stack in stacks]), len(stacks))
            self._add(group[0].slot, "lora_down", down)
            start = 0
            for change, stack in zip(group, stacks, strict=True):
                branch = Branch(stack, down, start, statistics)
                start += branch.rank
                self._add(change.slot, "lora", branch)
                self._handles.append(change.slot.module.register_forward_hook(Hook(branch)))
                self.branches[change.slot.name] = branch

    def _add(self, slot: Slot, name: str, module: nn.Module) -> None:
        slot.module.add_module(name, module)
        self._modules.append((slot.module, name))

    def set(self, by_adapter: Sequence[float]) -> None:
        strengths = torch.tensor(list(by_adapter), dtype=torch.float32)
        for branch in self.branches.values():
            branch.set(strengths)

    @property
    def nbytes(self) -> int:
        return sum(b.up.nbytes + b.down.nbytes for b in self.branches.values())

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        for module, name in self._modules:
            delattr(module, name)
        self._handles, self._modules, self.branches = [], [], {}


def same_input(changes: Sequence[Change]) -> list[list[Change]]:
    """Groups of changes whose linears read the same input."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(input_of(change.slot.name.removesuffix(".weight")), []).append(change)
    return list(groups.values())


def input_of(module: str) -> str:
    """A name for what a linear reads."""
    for group in SAME_INPUT:
        for end in group:
            if module.endswith("." + end):
                return module[: -len(end)] + group[0]
    return module
