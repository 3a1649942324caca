"""What is swapped as a whole: a block with everything that acts in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wancore.runtime.swap.copies import Copies
from wancore.runtime.swap.flat import Held, Layout, held_by

#: Smaller tensors (norms, biases, scales) always stay on the device: a forward's worth is a few megabytes,
#: and adapters change them from step to step.
LEAST_BYTES = 128 << 10


class Unit:
    """`modules` whose large tensors move together; modules below `without` belong to another unit.

    `rare`: not used in every forward, so the first to leave the device.
    `master`: the host's copy, a flat buffer, None as long as the unit has never left the device. Weights
    do not change while they are used, so nothing is ever copied back.
    """

    def __init__(
        self, name: str, modules: Sequence[nn.Module], without: Sequence[nn.Module] = (), rare: bool = False
    ) -> None:
        self.name, self.modules, self.rare = name, tuple(modules), rare
        self.without = {id(module) for root in without for module in root.modules()}
        self.held: list[Held] = []
        self.layout = Layout((), 0)
        self.master: Tensor | None = None
        self.resident = False
        self.slot: int | None = None

    @property
    def nbytes(self) -> int:
        return self.layout.nbytes

    def __repr__(self) -> str:
        return f"Unit({self.name!r}, {self.nbytes} bytes, {'resident' if self.resident else 'swapped'})"

    def all_held(self) -> list[Held]:
        """Every tensor that is its own, small ones too."""
        return [h for h in held_by(self.modules) if id(h.module) not in self.without]

    def survey(self, shared: Counter[int], least: int) -> None:
        """Takes note of the tensors that move now: adapters may have added or replaced some."""
        self.held = [
            h for h in self.all_held() if h.tensor.nbytes >= least and shared[h.tensor.data_ptr()] < 2
        ]
        # Weights of one shape together: linears that read one input can then be one product.
        self.held.sort(key=lambda h: (h.tensor.dtype.itemsize, tuple(h.tensor.shape)))
        self.layout = Layout.of([h.tensor for h in self.held])

    def small(self, least: int) -> list[Held]:
        moving = {(id(h.module), h.name) for h in self.held}
        return [h for h in self.all_held() if (id(h.module), h.name) not in moving]

    def in_master(self) -> bool:
        """Whether every tensor is the master's own, in its place."""
        if self.master is None or len(self.master) != self.nbytes:
            return False
        start = self.master.data_ptr()
        return all(
            h.tensor.data_ptr() == start + place.offset
            for h, place in zip(self.held, self.layout.places, strict=True)
        )

    def pack(self, copies: Copies) -> None:
        """Makes the master from the tensors as they are, wherever they are. Tensors that another buffer
        still holds (an adapter's way back) keep it alive."""
        if self.in_master():
            return
        master = copies.host(self.nbytes)
        for h, view in zip(self.held, self.layout.views(master), strict=True):
            view.copy_(h.tensor)
            h.put(view)  # one at a time: what was there before may go
        self.master = master

    def move_to(self, device: torch.device, copies: Copies) -> None:
        """Memory of its own on the device, in one piece; tensors that are all there stay where they are."""
        if all(h.tensor.device == device for h in self.held) and not self.in_master():
            return
        buffer = copies.device(self.nbytes)
        for h, view in zip(self.held, self.layout.views(buffer), strict=True):
            view.copy_(h.tensor)
            h.put(view)

    def point_to(self, buffer: Tensor) -> None:
        """The tensors become views of `buffer`."""
        for h, view in zip(self.held, self.layout.views(buffer), strict=True):
            h.put(view)


def occurrences(units: Sequence[Unit]) -> Counter[int]:
    """In how many units each tensor occurs, by its address; what several share cannot move with one."""
    counts: Counter[int] = Counter()
    for unit in units:
        counts.update({h.tensor.data_ptr() for h in unit.all_held()})
    return counts
