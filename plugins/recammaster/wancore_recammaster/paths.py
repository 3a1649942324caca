"""The camera of each clip, as the network reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from wancore.errors import InvalidInput
from wancore_recammaster import presets
from wancore_recammaster.camera_file import read_camera
from wancore_recammaster.names import PRESETS, Preset
from wancore_recammaster.parameters import Parameters, Way
from wancore_recammaster.poses import Poses, per_latent_frame, relative, vectors


def cameras(parameters: Parameters, file: Path | None, frames: int) -> tuple[Tensor, ...]:
    """[T, 12] for each clip of `frames` pixel frames. Raises `InvalidInput`."""
    if file is None:
        if parameters.camera_name is not None:
            raise InvalidInput("params.camera_name", parameters.camera_name, "nothing without a camera file")
        chosen = one_each("params.camera", parameters.camera, parameters.clips)
        paths = [presets.poses(preset_of(way), frames) for way in chosen]
        return tuple(vectors(per_latent_frame(path)) for path in paths)
    if parameters.camera is not None:
        raise InvalidInput("params.camera", parameters.camera, "nothing beside a camera file")
    names = one_each("params.camera_name", parameters.camera_name, parameters.clips)
    return tuple(file_camera(parameters, file, name, i, frames) for i, name in enumerate(names))


def one_each(field: str, given: Any, clips: int) -> Sequence[Any]:
    """One thing for each clip, from one for all or a list."""
    if not isinstance(given, tuple):
        return [given] * clips
    if len(given) != clips:
        raise InvalidInput(field, given, f"one, or a list of {clips}, one for each clip")
    return given


def preset_of(way: Way | None) -> Preset:
    if way is None:
        return PRESETS[0]
    return PRESETS[way - 1] if isinstance(way, int) else way


def file_camera(parameters: Parameters, file: Path, name: str | None, clip: int, frames: int) -> Tensor:
    """The path of a clip: the file's, or its part where the file holds poses for all clips."""
    read = read_camera(file, "inputs.camera", name, "params.camera_name")
    if read.free and parameters.relative_to == "source":
        raise InvalidInput("params.relative_to", "source", "path, for a file in the released format")
    path = per_latent_frame(of_clip(read.poses, file, clip, frames, parameters.clips))
    return vectors(path if parameters.relative_to == "source" else relative(path, read.poses[0]))


def of_clip(poses: Poses, file: Path, clip: int, frames: int, clips: int) -> Poses:
    if len(poses) == frames * clips:
        return poses[clip * frames : (clip + 1) * frames]
    if len(poses) < frames or (len(poses) > frames and clips > 1):
        wanted = f"{frames}" if clips == 1 else f"{frames} or {frames * clips}"
        raise InvalidInput(
            "inputs.camera", str(file), f"poses of {wanted} frames; this file has {len(poses)}"
        )
    return poses[:frames]
