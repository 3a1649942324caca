"""Networks that are on the device only while they are used: encoders, between the stages of a generation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from wancore.runtime.swap import Swap, Unit
from wancore.runtime.swap.flat import Held, held_by
from wancore.runtime.swap.unit import LEAST_BYTES


@contextmanager
def visiting(
    network: nn.Module, device: torch.device, room: int | None = None, least: int = LEAST_BYTES
) -> Iterator[None]:
    """`network` on `device` while in use, afterwards with the very tensors it had before.

    `room`: bytes that it may take there, None without a bound; what is beyond it passes through layer by
    layer.
    """
    homes = [(held, held.tensor) for held in held_by([network])]
    size = sum(tensor.nbytes for _, tensor in homes)
    swap = None if room is None or size <= room else layers_of(network, device, room, least)
    try:
        if swap is not None:
            swap.engage()
        move(homes, device, swap)
        yield
    finally:
        if swap is not None:
            swap.release()
        for held, tensor in homes:
            held.put(tensor)


def pin(network: nn.Module) -> None:
    """Moves a network that waits in host memory into pages that never move; done once."""
    for held in held_by([network]):
        if held.tensor.device.type == "cpu" and not held.tensor.is_pinned():
            held.put(held.tensor.pin_memory())


def move(homes: list[tuple[Held, torch.Tensor]], device: torch.device, swap: Swap | None) -> None:
    """What no swap takes care of, to the device."""
    cared = {id(h.module) for unit in swap.units for h in held_by(unit.modules)} if swap else set()
    for held, tensor in homes:
        if id(held.module) not in cared:
            held.put(tensor.to(device, non_blocking=tensor.is_pinned()))


def layers_of(network: nn.Module, device: torch.device, room: int, least: int) -> Swap:
    """The layers of the network's largest list, as many of them resident as there is room for."""
    lists = [m for m in network.modules() if isinstance(m, nn.ModuleList)]
    sizes = {id(m): sum(h.tensor.nbytes for h in held_by([m])) for m in lists}
    layers = list(max(lists, key=lambda m: sizes[id(m)])) if lists else [network]
    each = max(sum(h.tensor.nbytes for h in held_by([layer])) for layer in layers)
    rest = sum(h.tensor.nbytes for h in held_by([network])) - sum(h.tensor.nbytes for h in held_by(layers))
    resident = max(0, min(len(layers) - 1, (room - rest) // each - 2))
    return Swap([Unit(str(i), (layer,)) for i, layer in enumerate(layers)], device, resident, least=least)
