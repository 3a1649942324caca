"""Small tables of numbers, copied to each device once: a copy waits until the device has done all that was
queued, and the host then has nothing queued ahead."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def constant(values: tuple[Any, ...], device: torch.device) -> Tensor:
    """float32 of `values`, tuples in any nesting, on `device`. Never to be changed in place."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device, dtype=torch.float32)
