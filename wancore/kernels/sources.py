"""The library of the transformer's kernels, and whether to use it."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.kernels.library import KernelLibrary, settled

HOPPER = (9, 0)
LARGEST_WIDTH = 16384  # of a row that a block of threads holds in registers
UPDATE = "piiipipf"  # rows, stride, start, count, gate, its stride, strength, factor

KERNELS = KernelLibrary(
    "transformer",
    ("activation.cu", "junction.cu", "low_rank.cu", "requantise.cu", "rotary.cu", "product.cu"),
    {
        "wancore_activation": "pipippppiiii",
        "wancore_junction": "pi" + 2 * UPDATE + "pppipippfpppiiii",
        "wancore_low_rank": "pipippiiii",
        "wancore_requantise": "ppppii",
        "wancore_norm_rotate": "pippippippippfiiii",
        "wancore_product": "ppppppppiiiii",
    },
)


def serves(x: Tensor) -> bool:
    """Whether kernels compute on `x`: on a GPU that they are built for, outside of training."""
    return x.is_cuda and not torch.is_grad_enabled() and on_device(x.device.index or 0)


@settled
def on_device(index: int) -> bool:
    return KERNELS.serves(torch.device("cuda", index))
