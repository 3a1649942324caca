"""MAGREF from pictures to frames, on tiny random weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wancore_magref.canvas import blocks, collage, latent_mask, packed_mask
from wancore_magref.family import MagrefFamily

from tests.engine.tiny import Made, engine, small, write_pictures
from wancore.errors import CheckpointError, InvalidInput
from wancore.events import Accepted
from wancore.testing import make_tiny

COLOURS = ("red", "green", "blue", "black", "yellow", "cyan", "purple", "orange", "pink")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image-to-video model whose name says whose it is."""
    return make_tiny("i2v", tmp_path_factory.mktemp("models") / "Wan2_1-MAGREF")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"), COLOURS)


@pytest.fixture(scope="module")
def make(model: Path) -> Callable[..., Made]:
    running = engine()

    def made(*files: Path, **fields: object) -> Made:
        inputs = {f"image[{i}]": file for i, file in enumerate(files)}
        given = {"inputs": inputs, "steps": 1, "guidance": (1.0,), "frames": 5, **fields}
        return Made.of(running.generate(small(Path(given.pop("model", model)), **given)))

    return made


def test_pictures_and_places_act(make, pictures):
    two = make(*pictures[:2])
    accepted = two.events[0]
    assert isinstance(accepted, Accepted) and accepted.family == "magref"
    assert two.frames.shape == (5, 48, 64, 3) and two.frames.std() > 1
    others = [
        make(*pictures[:1]), make(*pictures[:3]), make(*pictures[:2][::-1]),
        make(*pictures[:2], params={"places": [1, 0]}),
    ]  # fmt: skip
    assert not any(np.array_equal(two.frames, other.frames) for other in others[:3])
    assert make(inputs={"image": pictures[0]}).frames.shape == (5, 48, 64, 3)
    assert np.array_equal(make(inputs={"image": pictures[0]}).frames, others[0].frames)


def test_places_are_an_order(make, pictures):
    swapped = make(*pictures[:2], params={"places": [1, 0]})
    assert np.array_equal(swapped.frames, make(*pictures[:2][::-1]).frames)


def test_own_defaults(make, pictures):
    accepted = make(pictures[0], guidance=None).events[0]
    assert (accepted.solver, accepted.shift, accepted.guidance, accepted.fps) == ("unipc", 3.0, (5.0,), 15)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"inputs": {}}, "inputs.image", "an image file"),
        ({"params": {"places": [0]}}, "params.places", "2 different numbers"),
        ({"params": {"places": [1, 1]}}, "params.places", "2 different numbers"),
        ({"params": {"places": [0, 2]}}, "params.places", "0 to 1"),
        ({"frames": 6}, "frames", "4n + 1"),
        ({"size": "60x48"}, "size", "multiples of 16"),
        ({"inputs": {"picture": "x.png"}}, "inputs.picture", "image[0]"),
    ],
)
def test_mistakes(make, pictures, fields, field, said):
    with pytest.raises(InvalidInput) as caught:
        make(*pictures[:2], **fields)
    assert caught.value.field == field and said in str(caught.value)


def test_more_pictures_than_blocks(make, pictures):
    with pytest.raises(InvalidInput, match="at most 8"):
        make(*pictures)


def test_both_ways_of_naming(make, pictures):
    with pytest.raises(InvalidInput, match="nothing beside"):
        make(inputs={"image": pictures[0], "image[0]": pictures[1]})


def test_only_the_name_tells_it_from_the_plain_model(make, model, pictures, tmp_path):
    plain = shutil.copytree(model, tmp_path / "Wan2_1-I2V")
    assert make(inputs={"image": pictures[0]}, model=plain).events[0].family == "wan"
    assert make(pictures[0], model=plain, family="magref").events[0].family == "magref"


def test_another_model(make, pictures, tmp_path):
    with pytest.raises(CheckpointError):
        make(pictures[0], model=make_tiny("t2v", tmp_path / "t2v"), family="magref")


@given(count=st.integers(1, 8), width=st.integers(4, 40), height=st.integers(2, 40))
def test_blocks_are_the_canvas(count, width, height):
    found = blocks(count, 8 * width, 8 * height)
    assert len(found) >= count
    seen = np.zeros((8 * height, 8 * width), int)
    for left, top, right, bottom in found:
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=8))
def test_a_picture_is_covered_and_nothing_else(sizes):
    black = [np.zeros((height, width, 3), np.uint8) for width, height in sizes]
    made = collage(black, range(len(black)), 128, 96)
    assert ((made.pixels == 0).all(-1) == (made.covered == 1)).all()
    mask = latent_mask(made.covered, 8)
    assert mask.shape == (12, 16) and mask.any() and packed_mask(mask, 3)[:, 1:].abs().max() == 0
    covered = torch.from_numpy(made.covered).unfold(0, 8, 8).unfold(1, 8, 8).flatten(2).any(-1)
    assert torch.equal(mask.bool(), covered)


def test_the_first_frames_are_dropped():
    from wancore.transformer.canvas import Canvas

    (span,) = MagrefFamily().decode(Canvas(21, 2, 2))
    assert (span.start, span.stop, span.drop) == (0, 21, 4)
