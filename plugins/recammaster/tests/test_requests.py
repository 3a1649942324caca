"""Every camera, from the request to frames, on tiny random weights."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from wancore_recammaster.names import PRESETS

from tests.engine.tiny import Made, engine, small
from wancore.errors import CheckpointError, InvalidInput
from wancore.events import Accepted
from wancore.testing import make_tiny

QUICK = {"steps": 2, "guidance": (3.0,)}


@pytest.fixture
def make(models, source, remembering):
    """Frames of a request."""

    def made(params=None, inputs=None, model=None, **fields) -> Made:
        inputs = {"source_video": source, **(inputs or {})}
        request = small(model or models.merged, inputs=inputs, params=params or {}, **{**QUICK, **fields})
        return remembering.made(request)

    return made


def test_every_preset(make):
    """Ten paths, ten videos; names and numbers mean the same."""
    videos = [make({"camera": preset}).frames for preset in PRESETS]
    assert all(video.shape == (9, 48, 64, 3) and video.std() > 1 for video in videos)
    assert not any(np.array_equal(a, b) for a, b in combinations(videos, 2))
    assert np.array_equal(make({"camera": 9}).frames, videos[8])
    assert np.array_equal(make().frames, videos[0])


def test_own_defaults(make):
    accepted = make().events[0]
    assert isinstance(accepted, Accepted)
    assert (accepted.family, accepted.solver, accepted.shift, accepted.fps) == ("recammaster", "euler", 5, 30)


def test_camera_files(make, camera_files):
    """A preset, the released file and own poses of one path give one video."""
    preset = make({"camera": "pan_left"}).frames.astype(int)
    own = make(inputs={"camera": camera_files["short"]}).frames
    released = make({"camera_name": "cam02"}, inputs={"camera": camera_files["released"]}).frames
    other = make({"camera_name": "cam09"}, inputs={"camera": camera_files["released"]}).frames
    assert np.abs(own - preset).max() <= 1 and np.abs(released - preset).max() <= 1
    assert not np.array_equal(other, released)


def test_poses_seen_from_the_source(make, camera_files, tmp_path):
    """A path that begins elsewhere is another one, unless it counts from its own beginning."""
    moved = np.array(json.loads(camera_files["short"].read_text()))
    moved[:, 2, 3] += 1.5
    path = tmp_path / "moved.json"
    path.write_text(json.dumps(moved.tolist()))
    plain = make(inputs={"camera": camera_files["short"]}).frames
    own = make(inputs={"camera": path}).frames.astype(int)
    assert np.abs(own - plain).max() <= 1
    assert not np.array_equal(make({"relative_to": "source"}, inputs={"camera": path}).frames, plain)


def test_clips(make):
    """Each clip is a video of its own stretch of the source, along its own path."""
    both = make({"clips": 2, "camera": ["pan_left", "zoom_in"]}, frames=18).frames
    assert both.shape == (18, 48, 64, 3)
    assert np.array_equal(both[:9], make({"camera": "pan_left"}).frames)
    again = make({"clips": 2, "camera": ["pan_left", "pan_left"]}, frames=18).frames
    assert np.array_equal(again[:9], both[:9]) and not np.array_equal(again[9:], both[9:])
    assert not np.array_equal(again[:9], again[9:])


def test_one_path_through_all_clips(make, camera_files):
    through = make({"clips": 2}, frames=18, inputs={"camera": camera_files["long"]}).frames
    repeated = make({"clips": 2}, frames=18, inputs={"camera": camera_files["short"]}).frames
    assert np.array_equal(through[:9], repeated[:9]) and not np.array_equal(through[9:], repeated[9:])


def test_the_source_matters(make, tmp_path):
    from plugins.recammaster.tests.making import write_video

    other = write_video(tmp_path / "other.mp4", 12, width=64, height=64)
    assert not np.array_equal(make(inputs={"source_video": other}).frames, make().frames)


def test_module_beside_its_base(make, models):
    beside = make(model=models.base, modules=(str(models.module),)).frames
    assert np.array_equal(make().frames, beside)


def test_overlapping_windows_cut_source_and_camera(make):
    windows = {"schedule": "static_standard", "frames": 9, "overlap": 4}
    windowed = make({"camera": "arc_left"}, frames=17, windows=windows).frames
    whole = make({"camera": "arc_left"}, frames=17).frames
    assert windowed.shape == whole.shape and not np.array_equal(windowed, whole)


@pytest.mark.parametrize(
    ("params", "fields", "field", "accepted"),
    [
        ({"camera": "spin"}, {}, "params.camera", "pan_right"),
        ({"camera": 11}, {}, "params.camera", "10"),
        ({"camera": ["pan_left"], "clips": 2}, {"frames": 18}, "params.camera", "a list of 2"),
        ({"camera_name": "cam01"}, {}, "params.camera_name", "without a camera file"),
        ({"clips": 2}, {"frames": 9}, "frames", "2 clips"),
        ({}, {"frames": 85}, "frames", "params.clips"),
        ({}, {"frames": 12}, "frames", "4n + 1"),
        ({}, {"size": "65x48"}, "size", "16"),
        ({}, {"guidance": (3.0, 2.0)}, "guidance", "one scale"),
        ({}, {"frames": 81}, "inputs.source_video", "this one has 20"),
    ],
)
def test_mistakes(params, fields, field, accepted, models, source):
    request = small(models.merged, inputs={"source_video": source}, params=params, **fields)
    with pytest.raises(InvalidInput) as caught:
        list(engine().generate(request))
    assert caught.value.field.startswith(field) and accepted in caught.value.accepted


def test_poses_of_too_few_frames(models, source, camera_files):
    inputs = {"source_video": source, "camera": camera_files["short"]}
    with pytest.raises(InvalidInput, match="poses of 17 frames; this file has 9"):
        next(engine().generate(small(models.merged, inputs=inputs, frames=17)))
    released = {**inputs, "camera": camera_files["released"]}
    params = {"camera_name": "cam02", "relative_to": "source"}
    with pytest.raises(InvalidInput, match="released format"):
        next(engine().generate(small(models.merged, inputs=released, params=params)))
    with pytest.raises(InvalidInput, match="beside a camera file"):
        next(engine().generate(small(models.merged, inputs=inputs, params={"camera": "pan_left"})))


def test_a_source_is_needed(models):
    with pytest.raises(InvalidInput) as caught:
        next(engine().generate(small(models.merged)))
    assert caught.value.field == "inputs.source_video"


def test_an_image_model_is_no_base(models, source, tmp_path):
    request = small(
        make_tiny("i2v", tmp_path / "i2v"), modules=(str(models.module),), inputs={"source_video": source}
    )
    with pytest.raises(CheckpointError, match="text-to-video"):
        next(engine().generate(request))
