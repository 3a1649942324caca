"""Frames on their way out, while the device goes on with what comes after them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wancore.events import Frames

Held = tuple[int, Tensor, torch.cuda.Event]  # the first one's number, the copy, when it is there


class Leaving:
    """Holds the last frames back until more work is queued behind their copy: then the copy, and whatever
    the caller does with them, costs the device no time. On a CPU, which does one thing at a time, they leave
    at once."""

    def __init__(self) -> None:
        self._waiting: Held | None = None

    def add(self, index: int, frames: Tensor) -> Iterator[Frames]:
        """uint8 [n, H, W, 3], the first of them number `index`; yields those that were held."""
        if frames.device.type != "cuda":
            yield Frames(index, frames.numpy())
            return
        host = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True)
        host.copy_(frames, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record()
        before, self._waiting = self._waiting, (index, host, copied)
        yield from self._out(before)

    def rest(self) -> Iterator[Frames]:
        """Those that are held."""
        before, self._waiting = self._waiting, None
        yield from self._out(before)

    def _out(self, held: Held | None) -> Iterator[Frames]:
        if held is not None:
            index, frames, copied = held
            copied.synchronize()
            yield Frames(index, frames.numpy())
