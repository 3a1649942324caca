"""Tracks: points of the first picture, and where each is later.

Source: bytedance/ATI `wan/utils/motion.py`, `process_tracks`.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

RATE = 24  # points of a track per second
POINTS = 121  # of a track that is as long as the model's clips
STORED = 8  # the editor writes pixels times this
NPY, ZIP = b"\x93NUMPY", b"PK\x03\x04"
MOST_BYTES = 64 * 2**20

ACCEPTED = (
    'a JSON file: tracks as lists of points [x, y], [x, y, visible] or {"x": …, "y": …}, in pixels, 24 a '
    'second; or {"width": …, "height": …, "tracks": […]}; or the editor\'s array [tracks, 121, 1, 3] in an '
    ".npy or .npz file"
)


@dataclass(frozen=True)
class Tracks:
    """`points` [N, P, 3] float32: x, y in pixels, visible 0 or 1; shorter tracks end invisible.

    `size`: width and height of the picture they were drawn on, where the file says it.
    """

    points: Tensor
    size: tuple[int, int] | None = None


def read_tracks(path: Path) -> Tracks:
    """Raises `ValueError`."""
    with path.open("rb") as file:
        start = file.read(len(NPY))
    if start.startswith((NPY, ZIP)):
        return Tracks(stored_points(path, start.startswith(ZIP)))
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ValueError("this file is neither; what torch has saved is not read") from None
    size = None
    if isinstance(document, dict):
        size = (whole(document.get("width"), "width"), whole(document.get("height"), "height"))
        document = document.get("tracks")
    if not isinstance(document, list) or not document:
        raise ValueError("it holds no list of tracks")
    tracks = [[point(p, i) for p in listed(track, i)] for i, track in enumerate(document)]
    longest = max(len(track) for track in tracks)
    padded = [track + [(0.0, 0.0, 0.0)] * (longest - len(track)) for track in tracks]
    return Tracks(checked(torch.tensor(padded)), size)


def stored_points(path: Path, zipped: bool) -> Tensor:
    """The editor's array, in a file of its own or under its name in an archive."""
    if zipped:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
        if not 0 < sizes.get("array.npy", 0) <= MOST_BYTES:
            raise ValueError("it holds no array of that name and size")
        array = np.load(path, allow_pickle=False)["array"]
    else:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    if array.ndim != 4 or array.shape[2:] != (1, 3) or 0 in array.shape:
        raise ValueError("its array is not [tracks, points, 1, 3]")
    return checked(torch.from_numpy(np.array(array[:, :, 0], dtype=np.float32)) / STORED)


def checked(points: Tensor) -> Tensor:
    if not points.isfinite().all():
        raise ValueError("a point is not finite")
    return points


def whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"its {name} is {value!r}, not a number of pixels")
    return value


def listed(track: Any, i: int) -> list[Any]:
    if not isinstance(track, list) or not track:
        raise ValueError(f"track {i} is no list of points")
    return track


def point(given: Any, i: int) -> tuple[float, float, float]:
    values = [given.get("x"), given.get("y"), given.get("visible", 1)] if isinstance(given, dict) else given
    if isinstance(values, list) and len(values) == 2:
        values = [*values, 1]
    plain = isinstance(values, list) and all(isinstance(v, int | float) for v in values)
    if not plain or len(values) != 3:
        raise ValueError(f"track {i} has the point {given!r}")
    x, y, visible = map(float, values)
    return x, y, visible


def processed(points: Tensor, width: int, height: int, frames: int, fps: Fraction, start: int = 0) -> Tensor:
    """[N, P, 3] -> [frames, N, 4]: time, x, y by the shorter edge (its ends at -1 and 1), visible -1 to 1.

    Of the video's frames `start` and on. Beyond the end of a track its point is invisible.
    """
    numbers = [int((start + k) * RATE / fps) for k in range(frames)]
    length = max(POINTS, max(numbers) + 1)
    padded = torch.zeros(len(points), length, 3)
    kept = points[:, :length]
    padded[:, : kept.shape[1]] = kept
    at = padded[:, numbers].transpose(0, 1)  # [frames, N, 3]
    centre = torch.tensor([width / 2, height / 2])
    place = (at[..., :2] - centre) / min(width, height) * 2
    time = torch.linspace(-1, 1, POINTS)
    times = time[[min(n, POINTS - 1) for n in numbers]]
    return torch.cat((times[:, None, None].expand(-1, len(points), 1), place, at[..., 2:] * 2 - 1), dim=-1)
