"""Closed forms against the released paths, and camera files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from wancore_recammaster import presets
from wancore_recammaster.camera_file import read_camera
from wancore_recammaster.names import PRESETS
from wancore_recammaster.poses import from_unreal, per_latent_frame, problem, relative, vectors

from wancore.errors import InvalidInput
from wancore.parity.case import Case

GOLDEN = Path(__file__).parent / "golden" / "camera_trajectories.safetensors"


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_the_released_paths(preset):
    """To the precision with which those are printed."""
    released = Case.load(GOLDEN).expected["camera"][PRESETS.index(preset)].reshape(-1, 3, 4)
    made = vectors(per_latent_frame(presets.poses(preset, 81))).numpy().reshape(-1, 3, 4)
    assert np.abs(made[:, :, :3] - released[:, :, :3]).max() < 1e-6
    assert np.abs(made[:, :, 3] - released[:, :, 3]).max() < 5.1e-5


def test_opposite_presets_mirror():
    for one, other in zip(PRESETS[::2], PRESETS[1::2], strict=True):
        there, back = presets.poses(one, 9), presets.poses(other, 9)
        assert not np.allclose(there[-1], back[-1])
        assert np.allclose(np.abs(there), np.abs(back), atol=1e-12)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("frames", [1, 5, 81])
def test_presets_are_camera_paths_from_the_origin(preset, frames):
    poses = presets.poses(preset, frames)
    assert poses.shape == (frames, 4, 4) and problem(poses) == ""
    assert np.array_equal(poses[0], np.eye(4))


def test_presets_end_where_the_released_ones_do():
    with pytest.raises(ValueError, match="81"):
        presets.poses("zoom_in", 82)


@given(st.integers(0, 2**32 - 1))
def test_relative_poses_undo_the_reference(seed):
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :3, :3] = Rotation.random(5, rng).as_matrix()
    poses[:, :3, 3] = rng.normal(size=(5, 3))
    seen = relative(poses, poses[0])
    assert np.allclose(seen[0], np.eye(4)) and np.allclose(poses[0] @ seen, poses)
    assert vectors(seen).shape == (5, 12) and vectors(seen).dtype == torch.float32


def test_released_files_and_matrices_say_the_same(camera_files):
    named = read_camera(camera_files["released"], "f", "cam02", "n")
    plain = read_camera(camera_files["short"], "f", None, "n")
    assert named.free and not plain.free
    assert len(named.poses) == 81 and np.allclose(named.poses[:9], plain.poses, atol=1e-7)
    assert np.array_equal(read_camera(camera_files["rows"], "f", None, "n").poses, plain.poses)


def test_released_text_is_read_as_printed(tmp_path):
    """Two entries of the released file, with its trailing space and its tiny numbers."""
    case = Case.load(GOLDEN)
    first, sample = (case.inputs["json_rows"][2, i].numpy() for i in (0, 20))
    text = " ".join(f"[{' '.join(f'{n:.6g}' for n in row)}]" for row in first) + " "
    document = {"frame0": {"cam03": text}, "frame1": {"cam03": case.meta["sample_text"]["frame80/cam03"]}}
    (tmp_path / "camera.json").write_text(json.dumps(document))
    read = read_camera(tmp_path / "camera.json", "f", None, "n")
    absolute = from_unreal(np.stack((first, sample)))
    assert np.allclose(read.poses, relative(absolute, absolute[0]), atol=1e-6)
    assert np.linalg.det(absolute[0, :3, :3]) < 0, "its world is left-handed"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("text", "not a camera"),
        ([[1, 2], [3, 4]], "shape"),
        ([[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0]]], "not a rotation"),
        ([[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0]]], "mirrors"),
        ([[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [5, 5, 5, 1]]], "last row"),
        ([[[1, 0, 0, float("nan")], [0, 1, 0, 0], [0, 0, 1, 0]]], "not finite"),
        ({"frame1": {"cam01": "[1 0 0 0] [0 1 0 0] [0 0 1 0] [0 0 0 1]"}}, "frame0"),
        ({"frame0": {"cam01": "[1 0 0] [0 1 0 0] [0 0 1 0] [0 0 0 1]"}}, "frame0"),
        ({"frame0": {"cam01": "here"}}, "four rows"),
    ],
)
def test_what_is_no_camera_file(document, problem, tmp_path):
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidInput) as caught:
        read_camera(path, "inputs.camera", None, "params.camera_name")
    assert caught.value.field == "inputs.camera" and str(path) in str(caught.value)
    assert problem == "not a camera" or problem in caught.value.accepted


def test_a_camera_has_to_be_chosen(camera_files):
    for name in (None, "cam11"):
        with pytest.raises(InvalidInput, match="cam02, cam09"):
            read_camera(camera_files["released"], "inputs.camera", name, "params.camera_name")
    with pytest.raises(InvalidInput, match="without a name"):
        read_camera(camera_files["short"], "inputs.camera", "cam02", "params.camera_name")
