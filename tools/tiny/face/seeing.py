"""How far a mouth is open, told from a video's frames alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mouth_areas(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The share of each frame [T, H, W, 3] that is the dark red of an open mouth [T]; lower half only."""
    low = frames[:, frames.shape[1] // 2 :].astype(np.int16)
    r, g, b = low[..., 0], low[..., 1], low[..., 2]
    dark = (r > 45) & (r < 125) & (g < 62) & (b < 66) & (r - g > 22) & (r - b > 18)
    return dark.mean(axis=(1, 2))


def correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Pearson's; 0 where one of them does not vary."""
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
