"""Timing on a GPU: medians of events after warm-up, and what the device is."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable
from typing import Any

import torch

REPEATS, WARM_UPS = 5, 3


def milliseconds(run: Callable[[], Any], repeats: int = REPEATS, warm_ups: int = WARM_UPS) -> float:
    """Median time of `run` on the device."""
    for _ in range(warm_ups):
        run()
    pairs = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
    for start, end in pairs:
        start.record()
        run()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in pairs)


def copy_bandwidth(nbytes: int = 1 << 30) -> float:
    """Bytes read and written per second by a large copy on the device."""
    source = torch.empty(nbytes, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    return 2 * nbytes / milliseconds(lambda: target.copy_(source), repeats=20) * 1e3


def describe() -> str:
    """Device, clocks, power limit and versions, in one line each."""
    asked = "clocks.sm,clocks.max.sm,clocks.mem,power.draw,power.limit,temperature.gpu"
    query = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"]
    try:
        state = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        state = "unknown"
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    return f"{torch.cuda.get_device_name()}; {versions}\n{asked}: {state}"


def busy() -> None:
    """Half a second of work, so that clocks are those of a device under load."""
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    for _ in range(300):
        a @ a
    torch.cuda.synchronize()
