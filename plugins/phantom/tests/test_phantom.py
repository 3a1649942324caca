"""Phantom from pictures to frames, on tiny random weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from wancore_phantom.guidance import phantom_guidance

from plugins.vace.tests.making import make_module
from tests.engine.tiny import Made, engine, small, write_pictures
from wancore.errors import CheckpointError, InvalidInput
from wancore.events import Accepted
from wancore.sampling.hooks import Step
from wancore.testing import make_tiny

COLOURS = ("red", "green", "blue", "black", "yellow")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text-to-video model whose name says whose it is."""
    return make_tiny("t2v", tmp_path_factory.mktemp("models") / "Phantom-Wan-1.3B")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"), COLOURS)


@pytest.fixture(scope="module")
def make(model: Path) -> Callable[..., Made]:
    running = engine()

    def made(*files: Path, **fields: object) -> Made:
        inputs = {f"image[{i}]": file for i, file in enumerate(files)}
        given = {"inputs": inputs, "steps": 1, "frames": 5, **fields}
        return Made.of(running.generate(small(Path(given.pop("model", model)), **given)))

    return made


def test_pictures_and_both_scales_act(make, pictures):
    two = make(*pictures[:2])
    accepted = two.events[0]
    assert isinstance(accepted, Accepted) and accepted.family == "phantom"
    assert (accepted.solver, accepted.shift, accepted.guidance, accepted.fps) == ("unipc", 5.0, (7.5,), 16)
    assert two.frames.shape == (5, 48, 64, 3) and two.frames.std() > 1
    others = [
        make(pictures[0]), make(pictures[0], pictures[2]), make(*pictures[:2], guidance=(2.0,)),
        make(*pictures[:2], params={"image_scale": 2.0}),
    ]  # fmt: skip
    assert not any(np.array_equal(two.frames, other.frames) for other in others)
    assert np.array_equal(make(inputs={"image": pictures[0]}).frames, others[0].frames)


def test_the_references_are_no_frames_of_the_video(make, pictures):
    """Whatever their number, and in overlapping windows."""
    assert all(make(*pictures[:n]).frames.shape[0] == 5 for n in (1, 4))
    windows = {"frames": 5, "overlap": 4}
    assert make(pictures[0], frames=9, windows=windows).frames.shape[0] == 9


def test_noise_is_drawn_for_the_references_too(make, pictures):
    """As upstream does: without a step's worth of difference, the same seed is another video."""
    one, two = (make(*([pictures[0]] * n), params={"image_scale": 0}, guidance=(0.0,)).frames for n in (1, 2))
    assert not np.array_equal(one, two)


def test_under_vace(make, pictures, tmp_path):
    """References of both: those of one stand in front of the clip, the other's behind."""
    module = make_module(tmp_path / "vace.safetensors")
    uses = [{"name": "vace", "modules": [str(module)], "inputs": {"reference[0]": pictures[3]}}]
    alone, both = make(pictures[0]), make(pictures[0], attachments=uses)
    assert both.frames.shape == alone.frames.shape and not np.array_equal(both.frames, alone.frames)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"inputs": {}}, "inputs.image", "an image file"),
        ({"params": {"image_scale": -1}}, "params.image_scale", "greater than or equal to 0"),
        ({"guidance": (1.0, 2.0)}, "guidance", "image_scale"),
        ({"frames": 6}, "frames", "4n + 1"),
        ({"size": "60x48"}, "size", "multiples of 16"),
        ({"inputs": {"picture": "x.png"}}, "inputs.picture", "image[0]"),
    ],
)
def test_mistakes(make, pictures, fields, field, said):
    with pytest.raises(InvalidInput) as caught:
        make(*pictures[:2], **fields)
    assert caught.value.field == field and said in str(caught.value)


def test_how_many_pictures(make, pictures):
    with pytest.raises(InvalidInput, match="at most 4"):
        make(*pictures)
    with pytest.raises(InvalidInput, match="nothing beside"):
        make(inputs={"image": pictures[0], "image[0]": pictures[1]})


def test_only_the_name_tells_it_from_the_plain_model(make, model, pictures, tmp_path):
    plain = shutil.copytree(model, tmp_path / "Wan2_1-T2V")
    assert make(inputs={}, model=plain).events[0].family == "wan"
    assert make(pictures[0], model=plain, family="phantom").events[0].family == "phantom"


def test_another_model(make, pictures, tmp_path):
    with pytest.raises(CheckpointError):
        make(pictures[0], model=make_tiny("i2v", tmp_path / "i2v"), family="phantom")


def test_passes_that_are_run():
    step = Step(0, 10, 1.0, 0.9, 1000.0, torch.zeros(1))
    assert phantom_guidance(7.5, 5.0).weights(step) == {"positive": 7.5, "pictures": -2.5, "negative": -4.0}
    assert phantom_guidance(5.0, 5.0).needed(step) == ("positive", "negative")
    assert phantom_guidance(1.0, 1.0).needed(step) == ("positive",)
