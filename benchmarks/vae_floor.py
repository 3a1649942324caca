"""What the VAE cannot do without: its convolutions alone through cuDNN, and its elementwise bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.gpu import milliseconds

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass(frozen=True)
class Convolution:
    """Shapes of one call."""

    x: tuple[int, ...]
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    @property
    def flop(self) -> float:
        places = 1.0
        for size, kernel, stride, padding in zip(
            self.x[2:], self.weight[2:], self.stride, self.padding, strict=True
        ):
            places *= (size + 2 * padding - kernel) // stride + 1
        taps = 1.0
        for n in self.weight:
            taps *= n
        return 2 * self.x[0] * places * taps

    def milliseconds(self) -> float:
        """Channels last in bfloat16, without bias, in the algorithm that cuDNN finds fastest."""
        form = CHANNELS_LAST[len(self.x)]
        x = torch.randn(self.x, device="cuda", dtype=torch.bfloat16).contiguous(memory_format=form)
        weight = torch.randn(self.weight, device="cuda", dtype=torch.bfloat16).contiguous(memory_format=form)
        run = F.conv3d if len(self.x) == 5 else F.conv2d

        def once() -> Tensor:
            return run(x, weight, None, self.stride, self.padding)

        with searching():
            return milliseconds(once, repeats=3, warm_ups=1)


class Recorder(TorchDispatchMode):
    """Counts the convolutions of what runs under it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[Convolution] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            x, weight, _, stride, padding = args[:5]
            call = Convolution(tuple(x.shape), tuple(weight.shape), tuple(stride), tuple(padding))
            self.seen[call] += 1
        return func(*args, **(kwargs or {}))


def convolutions(run: Callable[[], object]) -> Counter[Convolution]:
    with Recorder() as recorder:
        run()
    return recorder.seen


def teraflop(calls: Counter[Convolution]) -> float:
    return sum(call.flop * count for call, count in calls.items()) / 1e12


def through_cudnn(calls: Iterable[tuple[Convolution, int]]) -> float:
    """Milliseconds of all of them."""
    return sum(call.milliseconds() * count for call, count in calls)


@contextmanager
def searching() -> Iterator[None]:
    """cuDNN tries its algorithms and keeps the fastest."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
