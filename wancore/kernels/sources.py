"""The library of the transformer's kernels, and whether to use it."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.kernels.library import KernelLibrary

KERNELS = KernelLibrary(
    "transformer",
    ("activation.cu",),
    {"wancore_activation": "pipippppiiii"},
)


def serves(x: Tensor) -> bool:
    """Whether kernels compute on `x`: on a GPU that they are built for, outside of training."""
    return x.is_cuda and not torch.is_grad_enabled() and KERNELS.serves(x.device)
