"""A model in swapped units on the CPU: device memory starts as NaN, so a weight that is not there shows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from wancore.engine.units import swap_of
from wancore.runtime.swap import Swap
from wancore.runtime.swap.copies import PlainCopies
from wancore.transformer.adapter import Adapter
from wancore.transformer.model import WanTransformer

CPU = torch.device("cpu")


class Poisoned(PlainCopies):
    """Writes NaN over what a copy does not fill, and keeps a record of the copies."""

    def __init__(self) -> None:
        super().__init__(CPU)
        self.log: list[tuple[str, int]] = []

    def device(self, nbytes: int) -> Tensor:
        return torch.full((nbytes,), 0xFF, dtype=torch.uint8)

    def start(self, slot: int, target: Tensor, source: Tensor) -> None:
        target.fill_(0xFF)
        target[: len(source)].copy_(source)
        self.log.append(("copy", slot))

    def await_copy(self, slot: int) -> None:
        self.log.append(("await", slot))

    def used(self, slot: int) -> None:
        self.log.append(("used", slot))


def swapped(
    model: WanTransformer,
    resident: int = 0,
    slots: int = 2,
    adapters: Mapping[str, Adapter] | None = None,
    rare_resident: bool = True,
) -> Swap:
    """Its blocks as units, with the adapters on it; tensors of any size move."""
    return swap_of(model, adapters or {}, CPU, resident, slots, Poisoned(), 1, rare_resident)
