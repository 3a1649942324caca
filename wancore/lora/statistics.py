"""What adapters cost while a request runs, for those who ask to see it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import torch

Events = tuple[torch.cuda.Event, torch.cuda.Event]


@dataclass
class Statistics:
    """Counts always; times only if `timing`, since a clock around every layer costs something itself. Of a
    branch that the linear's own product carries, that is its first product; the rest is not seen apart.

    `builds`: deltas and stacks that were put together; `calls`: uses of them by mode. A call that needs
    no build is a hit. `seconds` by stage; `windows`: the share of each window, in order.
    """

    timing: bool = False
    builds: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    windows: list[float] = field(default_factory=list)
    _events: list[tuple[str, Events]] = field(default_factory=list)
    _before: float = 0.0

    def built(self, count: int = 1) -> None:
        self.builds += count

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times work that happens once: merging, building, restoring."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += perf_counter() - started

    @contextmanager
    def timed(self, mode: str, device: torch.device) -> Iterator[None]:
        """Counts and, if asked, times one use in a forward; on a GPU without waiting for it."""
        self.calls[mode] += 1
        if not self.timing:
            yield
        elif device.type == "cuda":
            events = (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
            events[0].record()
            yield
            events[1].record()
            self._events.append((mode, events))
        else:
            with self.stage(mode):
                yield

    def window_done(self) -> None:
        """Ends a window: its share of the time is set down."""
        if self._events:
            torch.cuda.synchronize()
        for mode, (start, end) in self._events:
            self.seconds[mode] += start.elapsed_time(end) / 1e3
        self._events.clear()
        total = sum(self.seconds.values())
        self.windows.append(total - self._before)
        self._before = total

    @property
    def hit_rate(self) -> float:
        """Share of uses that found what they needed ready, 0 to 1."""
        uses = sum(self.calls.values())
        return max(0.0, 1 - self.builds / uses) if uses else 0.0

    def lines(self) -> list[str]:
        """As printed after a generation."""
        uses = sum(self.calls.values())
        lines = [
            f"LoRA: {self.builds} built, {uses} uses, hit rate {100 * self.hit_rate:.1f} %",
            "LoRA seconds: " + (", ".join(f"{n} {s:.3f}" for n, s in self.seconds.items()) or "none"),
        ]
        if self.windows:
            each = ", ".join(f"{seconds:.3f}" for seconds in self.windows)
            lines.append(f"LoRA seconds by window: {each}")
        if not self.timing and uses:
            lines.append("LoRA: layers are not timed; switch LoRA timing on for that")
        return lines
