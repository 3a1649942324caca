"""Control videos that need no network."""

from __future__ import annotations

import cv2
import numpy as np

from wancore_vace.tasks.pixels import Frames


def grey(frames: Frames) -> Frames:
    """[F, H, W, 3] uint8 -> grey in all channels, as published: with the weights of red and blue swapped."""
    plain = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
    return np.repeat(np.stack(plain)[..., None], 3, axis=-1)
