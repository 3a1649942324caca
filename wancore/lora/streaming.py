"""Adapters as a difference that is kept in host memory and added to the weight at every use: one product.

The ancestor's way. For changes without a low-rank form on quantised weights it is the exact one; for
others the low-rank branch is never slower. On a GPU the differences lie in pinned memory, and the next
one is copied while the layer before it computes. Beside a weight that is itself copied for every forward
the difference is a buffer of the same module, so that one copy brings both: two streams of copies would
share the bus, and the small ones wait for the large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from wancore.lora.statistics import Statistics
from wancore.lora.terms import Change
from wancore.runtime.swap.copies import pinned

#: Of the linear's module, where the difference travels with the weight.
BUFFER = "lora_difference"


class Streamed:
    """Takes the place of one linear's `forward`.

    The difference is built at its first use, and again after its strengths have changed; one that travels
    with its weight (`travels`) when they are set, since that is when every weight is at hand. `device`: where
    it is computed, None for where the weight is.
    """

    def __init__(
        self,
        change: Change,
        dtype: torch.dtype,
        statistics: Statistics,
        ahead: Ahead | None = None,
        device: torch.device | None = None,
        travels: bool = False,
    ) -> None:
        self.change, self.slot, self.dtype = change, change.slot, dtype
        self.travels, self._device = travels, device
        self._ahead, self._statistics = ahead, statistics
        self._by_adapter: Sequence[float] = ()
        self._host: Tensor | None = None
        self._plain = change.slot.module.forward
        change.slot.module.__dict__["forward"] = self

    def set(self, by_adapter: Sequence[float]) -> bool:
        """Whether this changed anything."""
        if self._by_adapter and self.change.strengths(by_adapter) == self.change.strengths(self._by_adapter):
            return False
        self._by_adapter, self._host = tuple(by_adapter), None
        if self._ahead is not None:
            self._ahead.forget(self)
        if self.travels and self.active:
            self.put(self.built())
        return True

    @property
    def active(self) -> bool:
        return any(self.change.strengths(self._by_adapter))

    @property
    def foreseen(self) -> bool:
        """Whether the difference can be had while another layer's weights are in use."""
        return self.active and (self._host is not None or self.change.additive)

    def built(self) -> Tensor:
        """The difference [out, in], where it is computed."""
        with self._statistics.stage("building differences"):
            device = self._device or self.slot.device
            difference = self.change.difference(self._by_adapter, device).to(self.dtype)
        self._statistics.built()
        return difference

    def put(self, difference: Tensor) -> None:
        """Beside the weight; over the one that is there already, in the memory that both travel in."""
        module = self.slot.module
        held = module._buffers.get(BUFFER)
        if held is not None:
            held.copy_(difference)
        else:
            module.register_buffer(BUFFER, difference.to(self.slot.device), persistent=False)

    def host(self) -> Tensor:
        """The difference [out, in], in host memory."""
        if self._host is None:
            difference = self.built()
            self._host = in_pinned_memory(difference) if difference.is_cuda else difference
        return self._host

    def __call__(self, x: Tensor) -> Tensor:
        if not self.active:
            return self._plain(x)
        with self._statistics.timed("streaming", x.device):
            if self.travels:
                return self.product(x, self.slot.module.get_buffer(BUFFER))
            if self._ahead is None:
                return self.product(x, self.host().to(x.device))
            with self._ahead.lent(self) as added:
                return self.product(x, added)

    def product(self, x: Tensor, added: Tensor) -> Tensor:
        weight = self.slot.dense(x.dtype) + added.to(x.dtype)
        bias = self.slot.module.bias
        assert bias is None or isinstance(bias, Tensor)
        return F.linear(x, weight, None if bias is None else bias.to(x.dtype))

    def remove(self) -> None:
        module = self.slot.module
        del module.__dict__["forward"]
        if BUFFER in module._buffers:
            delattr(module, BUFFER)


def in_pinned_memory(tensor: Tensor) -> Tensor:
    copy = pinned(tensor.nbytes).view(tensor.dtype).view(tensor.shape)
    return copy.copy_(tensor)


class Ahead:
    """Copies the difference that will be asked for next, on a stream of its own, while this one is used.

    The order is that of the forward before. Two buffers in turn bound what it takes on the device,
    however far the host runs ahead. `elements`: of the largest difference.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, elements: int) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)
        self._stream.wait_stream(torch.cuda.current_stream(device))
        self._buffers = [torch.empty(elements, dtype=dtype, device=device) for _ in range(2)]
        self._used: list[torch.cuda.Event | None] = [None, None]  # the last use of each buffer
        self._copies: dict[Streamed, tuple[int, torch.cuda.Event]] = {}
        self._next: dict[Streamed, Streamed] = {}
        self._last: Streamed | None = None

    @contextmanager
    def lent(self, layer: Streamed) -> Iterator[Tensor]:
        """The difference of `layer` on the device, for use on the current stream until the end."""
        current = torch.cuda.current_stream(self.device)
        if layer not in self._copies:
            self._copies.clear()  # another order than before
            self._copy(layer, 0)
        index, copied = self._copies.pop(layer)
        current.wait_event(copied)
        if self._last is not None:
            self._next[self._last] = layer
        self._last = layer
        following = self._next.get(layer)
        if following is not None and following is not layer and following.foreseen:
            self._copy(following, 1 - index)
        yield self._view(layer, index)
        used = torch.cuda.Event()
        used.record(current)
        self._used[index] = used

    def _view(self, layer: Streamed, index: int) -> Tensor:
        host = layer.host()
        return self._buffers[index][: host.numel()].view(host.shape)

    def _copy(self, layer: Streamed, index: int) -> None:
        host = layer.host()
        with torch.cuda.stream(self._stream):
            if (used := self._used[index]) is not None:
                self._stream.wait_event(used)
            self._view(layer, index).copy_(host, non_blocking=True)
            copied = torch.cuda.Event()
            copied.record(self._stream)
        self._copies[layer] = index, copied

    def forget(self, layer: Streamed) -> None:
        """Its difference is no longer what was copied."""
        self._copies.pop(layer, None)
