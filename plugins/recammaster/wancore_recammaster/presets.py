"""The ten camera paths that the model was released with, in closed form.

They reproduce the released camera file to its printed precision. Of each pair, the first goes one way
and the second the other.
"""

from __future__ import annotations

import numpy as np

from wancore_recammaster.names import PRESETS, Preset
from wancore_recammaster.poses import Poses

UNIT = 80.5  # pixel frames in which a path would be complete
LAST = 80  # the last pixel frame of the released paths
PAN, TILT, ARC = np.radians(20), np.radians(10), np.radians(30)
TRAVEL, AHEAD = 2.0, 4.0  # metres: how far zoom and arc go, and where arc and translate look


def poses(preset: Preset, frames: int) -> Poses:
    """[frames, 4, 4]: a pose for each pixel frame, relative to the first.

    Raises `ValueError` for more frames than the released paths have.
    """
    if not 1 <= frames <= LAST + 1:
        raise ValueError(f"the paths have {LAST + 1} frames, not {frames}")
    way, reverse = divmod(PRESETS.index(preset), 2)
    sign = -1.0 if reverse else 1.0
    s = np.arange(frames) / UNIT
    zero = np.zeros(frames)
    match way:
        case 0:
            return placed(turned_y(sign * PAN * s), zero, zero, zero)
        case 1:
            return placed(turned_x(sign * TILT * s), zero, zero, zero)
        case 2:
            return placed(turned_y(zero), zero, zero, TRAVEL * sign * s)
        case 3:
            return placed(turned_x(-sign * np.arctan2(s, AHEAD)), zero, -sign * s, zero)
        case _:
            z = AHEAD * (1 - np.cos(ARC)) * s
            return placed(turned_y(sign * np.arctan2(TRAVEL * s, AHEAD - z)), -TRAVEL * sign * s, zero, z)


def placed(rotation: Poses, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Poses:
    """[n, 4, 4] from rotations [n, 3, 3] and positions in metres."""
    made = np.tile(np.eye(4), (len(rotation), 1, 1))
    made[:, :3, :3] = rotation
    made[:, :3, 3] = np.stack((x, y, z), axis=1)
    return made


def turned_y(angle: np.ndarray) -> Poses:
    """[n, 3, 3]: to the right by `angle` [n] radians."""
    cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack((cos, zero, sin, zero, one, zero, -sin, zero, cos), axis=1).reshape(-1, 3, 3)


def turned_x(angle: np.ndarray) -> Poses:
    """[n, 3, 3]: up by `angle` [n] radians."""
    cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack((one, zero, zero, zero, cos, -sin, zero, sin, cos), axis=1).reshape(-1, 3, 3)
