"""How much memory the process holds, and whether it has grown since the first job."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil


def process_memory() -> int:
    """Resident bytes of this process."""
    return int(psutil.Process().memory_info().rss)


def device_memory() -> dict[str, int]:
    """Bytes that this process has `allocated` and `reserved` on its GPU, and its `total`.

    Empty where none is in use: asking must not start it. Only what the allocator knows by itself: the
    driver is not called, since this is asked from beside the computation.
    """
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # not there while another thread is still importing torch
    if torch is None or cuda is None or not cuda.is_initialized():
        return {}
    used = [i for i in range(torch.cuda.device_count()) if torch.cuda.memory_reserved(i)]
    return {
        "allocated": sum(torch.cuda.memory_allocated(i) for i in used),
        "reserved": sum(torch.cuda.memory_reserved(i) for i in used),
        "total": sum(torch.cuda.get_device_properties(i).total_memory for i in used),
    }


def give_back() -> None:
    """What is only waiting to be collected or used again is no growth."""
    gc.collect()
    if sys.platform.startswith("linux") and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


@dataclass
class MemoryLevel:
    """Growth beyond `share` of the level, and beyond `least` bytes, which other jobs and allocators vary by.

    Each set of models in memory has a level of its own: what there was after the first job with it.
    """

    share: float
    least: int
    levels: dict[tuple[tuple[str, ...], str], int] = field(default_factory=dict)

    def grown(self, models: Sequence[str]) -> bool:
        """After a job: whether the process should be replaced. Costs little while it has not grown."""
        if not self.beyond(models):
            return False
        give_back()
        return self.beyond(models)

    def beyond(self, models: Sequence[str]) -> bool:
        now = {"process": process_memory(), "device": device_memory().get("allocated", 0)}
        key = tuple(sorted(models))
        over = [self.over(key, kind, size) for kind, size in now.items()]  # all: it keeps new levels
        return any(over)

    def over(self, models: tuple[str, ...], kind: str, size: int) -> bool:
        level = self.levels.setdefault((models, kind), size)
        return size - level > max(self.share * level, self.least)
