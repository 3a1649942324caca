"""Two tasks in one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from wancore_vace.tasks.pixels import Pair

#: What a task does: generates a part of each frame, whole frames, or all of them after a picture of it.
Nature = Literal["repaint", "extension", "control"]


def composed(first: Pair, second: Pair, natures: tuple[Nature, Nature]) -> Pair:
    """Frames and masks of the same sizes -> one pair, by what the two tasks do."""
    a, b = (np.asarray(p.masks, np.float32)[..., None] / 255 for p in (first, second))
    one, other = first.frames.astype(np.float32), second.frames.astype(np.float32)
    match natures:
        case ("extension", _):
            frames, mask = other * a + one * (1 - a), a * b
        case ("repaint", "control"):
            frames, mask = one * (1 - a) + other * a, a
        case ("control", "repaint"):
            frames, mask = other * (1 - b) + one * b, b
        case _:
            frames, mask = one * (1 - b) + other * b, a * (1 - b) + b * b
    return Pair(frames, mask[..., 0] * 255)
