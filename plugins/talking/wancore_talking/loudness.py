"""Speech at one loudness (ITU-R BS.1770, with pyloudnorm)."""

from __future__ import annotations

import numpy as np
from torch import Tensor

TARGET = -23.0  # LUFS
QUIETEST = -100.0  # below it there is nothing to make louder
SHORTEST = 0.4  # seconds: one measuring block
LARGEST = 1e5  # sample: full scale is 1, files with whole numbers as floats reach 32768


def normalised(samples: Tensor, rate: int, target: float = TARGET) -> Tensor:
    """Mono samples [S] with a gain to `target` LUFS; silence stays as it is.

    Raises `ValueError` for less than 0.4 seconds, which have no loudness.
    """
    factor = gain(samples, rate, target)
    return samples if factor == 1 else samples * factor


def gain(samples: Tensor, rate: int, target: float = TARGET) -> float:
    """The factor to `target` LUFS; 1 for silence. Raises `ValueError` for less than 0.4 seconds."""
    import pyloudnorm

    with np.errstate(divide="ignore"):  # the loudness of silence is -inf
        measured = float(pyloudnorm.Meter(rate).integrated_loudness(samples.numpy()))
    return 1.0 if abs(measured) > abs(QUIETEST) else float(10.0 ** ((target - measured) / 20))
