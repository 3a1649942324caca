"""Half the log signal-to-noise ratio of a noise level, in which the exponential integrators step."""

from __future__ import annotations

import torch
from torch import Tensor


def half_log_snr(sigmas: Tensor) -> Tensor:
    """lambda = log((1 - sigma) / sigma), float32 as in the reference solvers; -inf at 1, inf at 0."""
    return torch.log(1 - sigmas) - torch.log(sigmas)
