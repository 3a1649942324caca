"""ATI from tracks to frames, on tiny random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from wancore_ati.painting import painted
from wancore_ati.tracks import processed, read_tracks

from tests.engine.tiny import Made, engine, small
from wancore.errors import CheckpointError, InvalidInput
from wancore.testing import make_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image-to-video model whose name says whose it is."""
    return make_tiny("i2v", tmp_path_factory.mktemp("models") / "Wan2_1-I2V-ATI-14B")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.png"
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def tracks(tmp_path: Path) -> Callable[..., Path]:
    def write(document: object, name: str = "tracks.json") -> Path:
        (tmp_path / name).write_text(document if isinstance(document, str) else json.dumps(document))
        return tmp_path / name

    return write


@pytest.fixture(scope="module")
def make(model: Path, image: Path) -> Callable[..., np.ndarray]:
    running = engine()

    def frames(file: Path | None, model: Path = model, **use: object) -> np.ndarray:
        attached = {"name": "ati", "inputs": {"tracks": file}, **use}
        request = small(
            model, inputs={"image": image}, steps=1, guidance=(1.0,), frames=9, size="64x48",
            attachments=[] if file is None else [attached], family="wan" if file is None else None,
        )  # fmt: skip
        return Made.of(running.generate(request)).frames

    return frames


RIGHT = [[x, 24] for x in range(10, 60)]
DOWN = [[32, y] for y in range(5, 45)]


def test_tracks_act(make, tracks):
    videos = [
        make(None), make(tracks([RIGHT])), make(tracks([DOWN])), make(tracks([RIGHT, DOWN])),
        make(tracks([RIGHT]), params={"temperature": 20}),
    ]  # fmt: skip
    assert all(video.shape == videos[0].shape and video.std() > 1 for video in videos)
    for i, one in enumerate(videos):
        assert not any(np.array_equal(one, other) for other in videos[i + 1 :])


def test_the_same_tracks_in_every_form(make, tracks, tmp_path):
    plain = make(tracks([RIGHT]))
    named = make(tracks([[{"x": x, "y": y} for x, y in RIGHT]]))
    doubled = {"width": 128, "height": 96, "tracks": [[[2 * x, 2 * y, 1] for x, y in RIGHT]]}
    larger = make(tracks(doubled))
    stated = make(tracks([[[2 * x, 2 * y] for x, y in RIGHT]]), params={"picture": [128, 96]})
    array = np.zeros((1, 121, 1, 3), np.float32)
    array[0, : len(RIGHT), 0] = [[8 * x, 8 * y, 8] for x, y in RIGHT]
    np.savez(tmp_path / "sha256-without-a-suffix.npz", array=array)
    (tmp_path / "sha256-without-a-suffix.npz").rename(tmp_path / "asset")
    for same in (named, larger, stated, make(tmp_path / "asset")):
        assert np.array_equal(plain, same)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "Expecting"),
        ([], "no list of tracks"),
        ({"tracks": [RIGHT]}, "its width is None"),
        ({"width": 3, "height": 0, "tracks": [RIGHT]}, "its height is 0"),
        ([[]], "track 0 is no list"),
        ([[[1]]], "track 0 has the point"),
        ([[["a", 2]]], "track 0 has the point"),
        ([[[1, float("nan")]]], "not finite"),
        ("PK\x03\x04 no archive", "not a zip file"),
    ],
)
def test_bad_files(make, tracks, document, said):
    with pytest.raises(InvalidInput) as caught:
        make(tracks(document))
    assert caught.value.field == "inputs.tracks" and said in str(caught.value)


def test_what_torch_saved_is_not_read(tmp_path, make):
    torch.save(b"bytes of an archive", tmp_path / "tracks.pth")
    with pytest.raises(InvalidInput, match="no array of that name"):
        make(tmp_path / "tracks.pth")


def test_mistakes(make, tracks):
    for use, field in (({"params": {"topk": 11}}, "params.topk"), ({"inputs": {}}, "inputs.tracks")):
        with pytest.raises(InvalidInput) as caught:
            make(tracks([RIGHT]), **use)
        assert caught.value.field == field


def test_another_model(make, tracks, tmp_path):
    with pytest.raises(CheckpointError, match="image-to-video"):
        make(tracks([RIGHT]), model=make_tiny("t2v", tmp_path / "t2v"))


def test_its_model_asks_to_be_attached_to(make, image, model, tmp_path):
    running = engine()
    with pytest.raises(InvalidInput, match="ati is one to attach"):
        next(running.generate(small(model, inputs={"image": image})))
    plain = shutil.copytree(model, tmp_path / "plain")
    assert Made.of(running.generate(small(plain, inputs={"image": image}, steps=1))).events[0].family == "wan"


def test_time_goes_with_the_video_s_rate_and_window():
    points = torch.tensor([[[float(i), 0.0, 1.0] for i in range(121)]])
    at = {fps: processed(points, 2, 2, 9, Fraction(fps))[:, 0, 1] + 1 for fps in (16, 24, 12)}
    assert at[16].tolist() == [0, 1, 3, 4, 6, 7, 9, 10, 12]
    assert at[24].tolist() == list(range(9)) and at[12].tolist() == list(range(0, 18, 2))
    late = processed(points, 2, 2, 5, Fraction(24), start=4)
    assert torch.equal(late, processed(points, 2, 2, 9, Fraction(24))[4:])
    gone = processed(points, 2, 2, 3, Fraction(24), start=119)[:, 0, 3]
    assert gone.tolist() == [1, 1, -1]


def test_where_no_point_is_nothing_changes():
    y = torch.randn(20, 3, 6, 8)
    nowhere = processed(torch.zeros(1, 1, 3), 64, 48, 9, Fraction(16))
    out = painted(y, nowhere, 220.0, 2)
    assert torch.equal(out[4:], y[4:]) and (out[:4, 0] == 1).all() and (out[:4, 1:] == 0).all()


def test_files_are_read_as_written(tracks):
    found = read_tracks(tracks({"width": 9, "height": 7, "tracks": [[[1, 2]], [[3, 4, 0], [5, 6]]]}))
    assert found.size == (9, 7)
    assert found.points.tolist() == [[[1, 2, 1], [0, 0, 0]], [[3, 4, 0], [5, 6, 1]]]
