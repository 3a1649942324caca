"""A pair of frames and masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

#: [F, H, W, 3] RGB, 0..255; uint8 or float32.
Frames = npt.NDArray[Any]
#: [F, H, W], 0..255, 255 = to be generated; uint8 or float32.
Masks = npt.NDArray[Any]


@dataclass(frozen=True)
class Pair:
    """Frames with the masks that belong to them, one for one."""

    frames: Frames
    masks: Masks

    @classmethod
    def joined(cls, *parts: Pair) -> Pair:
        """One after the other in time."""
        return cls(np.concatenate([p.frames for p in parts]), np.concatenate([p.masks for p in parts]))
