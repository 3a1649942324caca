"""Will it fit: how much memory a load takes, and how much the host has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from wancore.checkpoints.stored import TensorInfo
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError

if TYPE_CHECKING:
    import torch

FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def estimate(views: FileView | Iterable[FileView], dtype: torch.dtype | None) -> int:
    """Bytes that the tensors of `views` take once loaded: floats as `dtype`, all others as stored.

    Quantised weights stay as they are. None keeps every dtype; the tensors are then pages of the file,
    which the host can drop and read again.
    """
    views = [views] if isinstance(views, FileView) else views
    return sum(loaded_bytes(info, dtype) for view in views for info in view.entries.values())


def loaded_bytes(info: TensorInfo, dtype: torch.dtype | None) -> int:
    """Bytes of one tensor once loaded; see `estimate`."""
    if dtype is not None and info.dtype in FLOATS and not info.encodings:
        return math.prod(info.shape) * dtype.itemsize
    return info.nbytes


def check_fits(
    views: FileView | Iterable[FileView], dtype: torch.dtype | None, available: int | None = None
) -> None:
    """Raises `CheckpointError` if loading `views` as `dtype` takes more memory than the host has free.

    `available`: bytes that may be used (None: what the host or its container has left, if it tells).
    """
    views = [views] if isinstance(views, FileView) else list(views)
    available = available_memory() if available is None else available
    needed = estimate(views, dtype)
    if views and available is not None and needed > available:
        what = (
            f"{gigabytes(needed)} of memory as {str(dtype).removeprefix('torch.')}"
            if dtype
            else (f"{gigabytes(needed)} of memory")
        )
        problem = f"needs {what}, {gigabytes(available)} are free"
        raise CheckpointError(views[0].path, f"{problem}; take a smaller dtype or a smaller model")


def available_memory(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """Bytes this process can still allocate: the host's, or its container's if less; None if unknown."""
    known = [n for n in (host_memory(meminfo), container_memory(cgroup)) if n is not None]
    return min(known, default=None)


def host_memory(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return physical_memory()
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return physical_memory()


def physical_memory() -> int | None:
    """Free pages by POSIX, where the system counts them."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def container_memory(cgroup: Path) -> int | None:
    """What a cgroup v2 limit leaves; pages of files do not count, since they can be dropped."""
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if not limit.isdigit():
        return None
    droppable = int(stat.get("active_file", 0)) + int(stat.get("inactive_file", 0))
    return max(0, int(limit) - used + droppable)


def gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
