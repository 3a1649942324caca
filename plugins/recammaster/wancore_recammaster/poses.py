"""Camera poses, and the twelve numbers of each that the network reads.

A pose is a camera-to-world matrix [4, 4] in float64, OpenCV axes (x right, y down, z forward), metres.
Source: KwaiVGI/ReCamMaster `inference_recammaster.py`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

#: [n, 4, 4] float64.
Poses = npt.NDArray[np.float64]

CENTIMETRES = 100.0
FRAMES_PER_LATENT = 4


def from_unreal(rows: Poses) -> Poses:
    """Poses from row-vector matrices [n, 4, 4] in Unreal axes (x forward, y right, z up), centimetres."""
    columns = np.swapaxes(rows, 1, 2)[:, :, [1, 2, 0, 3]].copy()
    columns[:, :3, 1] *= -1
    columns[:, :3, 3] /= CENTIMETRES
    return columns


def relative(poses: Poses, reference: npt.NDArray[np.float64]) -> Poses:
    """Poses as seen from the camera `reference` [4, 4]."""
    seen: Poses = np.linalg.inv(reference) @ poses
    return seen


def per_latent_frame(poses: Poses) -> Poses:
    """Of poses of pixel frames, those of latent frames: every fourth."""
    return poses[::FRAMES_PER_LATENT]


def vectors(poses: Poses) -> Tensor:
    """[n, 12] float32: the upper three rows, one after the other."""
    return torch.from_numpy(poses[:, :3].reshape(len(poses), 12).astype(np.float32))


def problem(poses: Poses) -> str:
    """Why these are no camera poses, or ''."""
    if not np.isfinite(poses).all():
        return "a number is not finite"
    rotation = poses[:, :3, :3]
    off = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max(axis=(1, 2))
    if (off > 1e-3).any():
        return f"the upper left 3x3 of matrix {int(off.argmax())} is not a rotation"
    if (turned := np.linalg.det(rotation)).min() < 0:
        return f"matrix {int(turned.argmin())} mirrors; OpenCV axes are x right, y down, z forward"
    if np.abs(poses[:, 3] - (0, 0, 0, 1)).max() > 1e-6:
        return "the last row of a matrix is not 0 0 0 1; camera-to-world matrices act on column vectors"
    return ""
