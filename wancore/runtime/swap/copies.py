"""How bytes get from host memory to a device: on a stream of its own on CUDA, at once elsewhere."""

from __future__ import annotations

import logging
import weakref
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

log = logging.getLogger(__name__)


class Copies(Protocol):
    """Copies, and the order between them and computations. Slots are numbered."""

    def host(self, nbytes: int) -> Tensor:
        """A flat uint8 buffer in host memory that copies fast."""
        ...

    def device(self, nbytes: int) -> Tensor:
        """A flat uint8 buffer on the device."""
        ...

    def start(self, slot: int, target: Tensor, source: Tensor) -> None:
        """Copies `source` [n] to the first n bytes of `target`, after the last use of the slot."""
        ...

    def await_copy(self, slot: int) -> None:
        """Computations that follow see what was last copied to the slot."""
        ...

    def used(self, slot: int) -> None:
        """Computations so far were the last that need what is in the slot."""
        ...

    def finish(self) -> None:
        """Returns when nothing is under way."""
        ...


class PlainCopies:
    """Between two buffers of one kind of memory, or for devices without streams: nothing overlaps."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def host(self, nbytes: int) -> Tensor:
        return torch.empty(nbytes, dtype=torch.uint8)

    def device(self, nbytes: int) -> Tensor:
        return torch.empty(nbytes, dtype=torch.uint8, device=self._device)

    def start(self, slot: int, target: Tensor, source: Tensor) -> None:
        target[: len(source)].copy_(source)

    def await_copy(self, slot: int) -> None:
        return

    def used(self, slot: int) -> None:
        return

    def finish(self) -> None:
        return


class CudaCopies:
    """From pinned memory, on a side stream, one event for each slot that is ready and that is free."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._ready: dict[int, torch.cuda.Event] = {}
        self._free: dict[int, torch.cuda.Event] = {}

    def host(self, nbytes: int) -> Tensor:
        return pinned(nbytes)

    def device(self, nbytes: int) -> Tensor:
        buffer = torch.empty(nbytes, dtype=torch.uint8, device=self._device)
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        return buffer

    def start(self, slot: int, target: Tensor, source: Tensor) -> None:
        free = self._free.pop(slot, None)
        if free is not None:
            self._stream.wait_event(free)
        with torch.cuda.stream(self._stream):
            target[: len(source)].copy_(source, non_blocking=True)
        ready = torch.cuda.Event()
        ready.record(self._stream)
        self._ready[slot] = ready

    def await_copy(self, slot: int) -> None:
        ready = self._ready.get(slot)
        if ready is not None:
            torch.cuda.current_stream(self._device).wait_event(ready)

    def used(self, slot: int) -> None:
        free = torch.cuda.Event()
        free.record(torch.cuda.current_stream(self._device))
        self._free[slot] = free

    def finish(self) -> None:
        torch.cuda.synchronize(self._device)
        self._ready.clear()
        self._free.clear()


def pinned(nbytes: int) -> Tensor:
    """A flat buffer of locked pages, as long as somebody uses it; of ordinary ones, where none are to be had.

    Not from torch's allocator, which rounds up to a power of two: a third more for a block of 700 MB.
    """
    memory = np.empty(nbytes, dtype=np.uint8)
    address = memory.ctypes.data
    runtime = torch.cuda.cudart()
    problem = int(runtime.cudaHostRegister(address, nbytes, 0)) if nbytes else 0
    if problem:
        log.warning("memory cannot be pinned (error %d): copies of weights will not overlap", problem)
    elif nbytes:
        weakref.finalize(memory, runtime.cudaHostUnregister, address)
    return torch.from_numpy(memory)


def copies_for(device: torch.device) -> Copies:
    return CudaCopies(device) if device.type == "cuda" else PlainCopies(device)
