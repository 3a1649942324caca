"""Camera paths from JSON: the released format, or camera-to-world matrices."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wancore.errors import InvalidInput
from wancore_recammaster.poses import Poses, from_unreal, problem, relative

ROW = re.compile(r"\[([^\[\]]*)\]")
FRAME = re.compile(r"frame(\d+)")
ACCEPTED = (
    "a JSON file with a camera-to-world matrix (3 or 4 rows of 4) for each frame, in OpenCV axes and metres, "
    'or in the released format {"frame0": {"cam01": "[…] […] […] […]"}, …}'
)


@dataclass(frozen=True)
class CameraPath:
    """`poses` [F, 4, 4] for each pixel frame. `free`: only their differences count, not where they begin."""

    poses: Poses
    free: bool


def read_camera(path: Path, field: str, name: str | None, name_field: str) -> CameraPath:
    """The path in a file; one in the released format, whose world is left-handed, begins at the origin.

    `name`: the camera, where the file has several. Raises `InvalidInput` for `field` or `name_field`.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(field, str(path), f"{ACCEPTED}; {error}") from error
    released = isinstance(document, dict)
    if not released and name is not None:
        raise InvalidInput(name_field, name, "nothing: this file holds one path without a name")
    try:
        poses = released_poses(document, name, name_field) if released else matrices(document)
    except (ValueError, TypeError, np.linalg.LinAlgError) as error:
        raise InvalidInput(field, str(path), f"{ACCEPTED}; {error}") from error
    if wrong := problem(poses):
        raise InvalidInput(field, str(path), f"{ACCEPTED}; {wrong}")
    return CameraPath(poses, free=released)


def matrices(document: Any) -> Poses:
    """From nested lists [F][3 or 4][4]."""
    given = np.array(document, np.float64)
    if given.ndim != 3 or given.shape[1:] not in ((3, 4), (4, 4)):
        raise ValueError(f"this one has the shape {list(given.shape)}")
    poses = np.tile(np.eye(4), (len(given), 1, 1))
    poses[:, : given.shape[1]] = given
    return poses


def released_poses(document: dict[str, Any], name: str | None, name_field: str) -> Poses:
    """The path of the camera `name` (one may be left unnamed), from its first frame to its last."""
    numbered = {int(m[1]): cameras for key, cameras in document.items() if (m := FRAME.fullmatch(key))}
    if sorted(numbered) != list(range(len(document))) or not numbered:
        raise ValueError("the keys are not frame0, frame1, …")
    names = list(numbered[0])
    chosen = name if name is not None or len(names) > 1 else names[0]
    if chosen not in names:
        raise InvalidInput(name_field, name, f"one of: {', '.join(names)}")
    poses = from_unreal(np.stack([parsed(numbered[i][chosen]) for i in range(len(numbered))]))
    return relative(poses, poses[0])


def parsed(text: str) -> Poses:
    """`[a b c d] [..] [..] [x y z 1]` -> [4, 4]."""
    rows = [[float(number) for number in row.split()] for row in ROW.findall(text)]
    made = np.array(rows, np.float64)
    if made.shape != (4, 4):
        raise ValueError(f"a camera is not four rows of four numbers: {text!r}")
    return made
