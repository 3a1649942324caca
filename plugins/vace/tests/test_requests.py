"""Every task, from its inputs to frames, on tiny random weights."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from plugins.vace.tests.tasks import TASKS
from tests.engine.tiny import Made, small
from wancore.events import Accepted

QUICK = {"steps": 2, "guidance": (3.0,), "solver": "unipc", "shift": 5.0}


@pytest.fixture
def make(models, files, remembering):
    """Frames of a request; inputs are names of files."""

    def made(inputs=None, params=None, model=None, **fields) -> Made:
        paths = {role: files[name] for role, name in (inputs or {}).items()}
        request = small(model or models.merged, inputs=paths, params=params or {}, **{**QUICK, **fields})
        return remembering.made(request)

    return made


@pytest.fixture
def plain(make):
    return make().frames


@pytest.mark.parametrize("task", TASKS)
def test_task(task, make, plain):
    inputs, params = TASKS[task]
    made = make(inputs, params)
    accepted = made.events[0]
    assert isinstance(accepted, Accepted) and accepted.family == "vace"
    assert made.frames.shape == (9, accepted.height, accepted.width, 3)
    assert made.frames.std() > 1, "the frames are not flat"
    assert made.frames.shape != plain.shape or not np.array_equal(made.frames, plain)


def test_tasks_differ(make):
    """The same video with another task is another video."""
    ways = ["control", "grey", "pair", "one mask for all frames", "inpainting, box", "kept frames"]
    videos = [make(*TASKS[way]).frames for way in ways]
    assert not any(np.array_equal(a, b) for a, b in combinations(videos, 2))


def test_no_strength_is_the_base_model(make, models, plain):
    """Without hints, VACE's model is the text-to-video model it was made from."""
    base = make(model=models.base).frames
    assert not np.array_equal(plain, base)
    control = ({"video": "video"}, {"task": "control", "strength": 0.0})
    assert np.array_equal(make(*control).frames, base)


def test_strength_per_step_and_per_block(make):
    inputs = {"video": "video"}
    whole = make(inputs, {"strength": 0.6}).frames
    assert np.array_equal(make(inputs, {"strength": [0.6, 0.6]}).frames, whole)
    factors = make(inputs, {"strength": 1.2, "layer_strengths": [0.5, 0.5]}).frames
    assert np.abs(factors.astype(int) - whole).max() <= 1
    assert not np.array_equal(make(inputs, {"strength": [0.6, 0.0]}).frames, whole)
    assert not np.array_equal(make(inputs, {"strength": 0.6, "layer_strengths": [1, 0]}).frames, whole)


def test_range_of_steps(make):
    """Steps outside start..end are those of strength 0."""
    inputs = {"video": "video"}
    ranged = make(inputs, {"start": 0.3, "end": 0.6}, steps=4).frames
    listed = make(inputs, {"strength": [0, 0, 1, 0]}, steps=4).frames
    assert np.array_equal(ranged, listed)


def test_a_context_without_strength_adds_nothing(make):
    one = make({"video": "video"}).frames
    other = {"contexts": [{"task": "control", "strength": 0}]}
    assert np.array_equal(make({"video": "video", "context[0].video": "other"}, other).frames, one)


def test_two_equal_contexts_are_one_of_twice_the_strength(make):
    one = make({"video": "video"}, {"strength": 1.0}).frames.astype(int)
    halves = {"strength": 0.5, "contexts": [{"strength": 0.5}]}
    assert np.abs(make({"video": "video", "context[0].video": "video"}, halves).frames - one).max() <= 1


def test_module_beside_its_base(make, models):
    """The merged file and the module beside its base are one model."""
    inputs = {"video": "video", "reference[0]": "portrait"}
    merged = make(inputs).frames
    beside = make(inputs, model=models.base, modules=(str(models.module),)).frames
    assert np.array_equal(merged, beside)


def test_frames_and_size_follow_the_source(make):
    accepted = make({"video": "wide"}, frames=None, size="64x64").events[0]
    assert (accepted.frames, accepted.width, accepted.height) == (5, 128, 32)
    cropped = make({"video": "wide"}, {"fit": "size"}, frames=None, size="64x64").events[0]
    assert (cropped.frames, cropped.width, cropped.height) == (5, 64, 64)


def test_two_experts(make, two_experts):
    """Wan2.2-VACE-Fun: both experts have a VACE of their own."""
    fields = {"model": two_experts, "steps": 4, "guidance": None, "shift": None}
    control = make({"video": "video"}, {"task": "control"}, **fields)
    accepted = control.events[0]
    assert accepted.shift == 12.0 and accepted.guidance == (5.0, 5.0)
    masked = make({"video": "video", "mask": "mask"}, **fields)
    references = make({"video": "video", "reference[0]": "portrait"}, {"task": "control"}, **fields)
    assert control.frames.shape == masked.frames.shape == references.frames.shape
    videos = (control.frames, masked.frames, references.frames)
    assert not any(np.array_equal(a, b) for a, b in combinations(videos, 2))


def test_overlapping_windows_cut_the_context(make):
    windows = {"schedule": "static_standard", "frames": 13, "overlap": 8}
    inputs = {"video": "video", "reference[0]": "portrait"}
    windowed = make(inputs, {"fit": "size"}, frames=21, windows=windows).frames
    whole = make(inputs, {"fit": "size"}, frames=21).frames
    assert windowed.shape == whole.shape and not np.array_equal(windowed, whole)
