"""Stand-In from a face to frames, on tiny random weights."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file
from wancore_standin.face import BORDER, cropped, face_of, squared
from wancore_standin.family import StandInFamily

from plugins.vace.tests.making import make_module as make_vace
from tests.engine.tiny import Remembering, engine, small
from tests.lora.adapters import low_rank, write
from wancore.checkpoints.layout import find_parts
from wancore.checkpoints.open import open_view
from wancore.errors import CheckpointError, InvalidInput
from wancore.parity.seeded import weight
from wancore.testing import make_tiny, sizes
from wancore.transformer.load import load_transformer

RANK = 8


def make_module(path: Path, dim: int = sizes.DIM, layers: int = sizes.LAYERS) -> Path:
    shapes = {}
    for i in range(layers):
        for name in "qkv":
            shapes[f"blocks.{i}.self_attn.{name}_loras.down.weight"] = (RANK, dim)
            shapes[f"blocks.{i}.self_attn.{name}_loras.up.weight"] = (dim, RANK)
    save_file({n: 4 * np.asarray(weight(f"{path.stem}.{n}", s)) for n, s in shapes.items()}, path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny("t2v", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def files(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    for name, shape in (("face", (40, 30, 3)), ("other", (30, 30, 3))):
        pixels = np.random.default_rng(len(name)).integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    mask = np.zeros((40, 30), np.uint8)
    mask[5:25, 5:20] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    transformer = load_transformer(find_parts(model).require("transformer"))
    return {
        **{name: folder / f"{name}.png" for name in ("face", "other", "mask")},
        "module": make_module(folder / "standin.safetensors"),
        "second": make_module(folder / "standin-low.safetensors"),
        "vace": make_vace(folder / "vace.safetensors"),
        "lora": write(folder / "lora.safetensors", low_rank(transformer, rank=4, scale=0.5)),
    }


@pytest.fixture(scope="module")
def make(model: Path, files: dict[str, Path]) -> Callable[..., np.ndarray]:
    """Frames of a request with the face attached; `use=None`: without."""
    remembering = Remembering(engine())

    def frames(use: dict[str, object] | None = None, **fields: object) -> np.ndarray:
        attached = [] if use is None else [standin(files, **use)]
        given = {"steps": 1, "frames": 5, "guidance": (3.0,), "attachments": attached, **fields}
        return remembering.made(small(Path(given.pop("model", model)), **given)).frames

    return frames


def standin(files: dict[str, Path], **use: object) -> dict[str, object]:
    own = {"name": "standin", "modules": [str(files["module"])], "inputs": {"face": files["face"]}}
    return {**own, **use}


def test_the_face_acts(make, files):
    masked = {"face": files["face"], "face_mask": files["mask"]}
    videos = [
        make(), make({}), make({"params": {"strength": 0}}),
        make({"inputs": masked, "params": {"box": [2, 2, 12, 12]}}),
    ]  # fmt: skip
    assert all(video.shape == (5, 48, 64, 3) and video.std() > 1 for video in videos)
    for i, one in enumerate(videos):
        assert not any(np.array_equal(one, other) for other in videos[i + 1 :])


def test_with_vace_and_a_lora(make, files):
    """The recording sees the LoRA, and not VACE's references; the order of attachment changes nothing."""
    vace = {"name": "vace", "modules": [str(files["vace"])], "inputs": {"reference[0]": files["other"]}}
    lora = {"loras": [{"name": str(files["lora"])}]}
    orders = permutations([standin(files), vace])
    one, other = (make(attachments=list(order), **lora) for order in orders)
    assert np.array_equal(one, other)
    assert not np.array_equal(one, make(attachments=[vace], **lora))


def test_two_experts_have_a_file_each(make, files, tmp_path):
    two = make_tiny("t2v-a14b", tmp_path / "a14b")
    modules = [str(files["module"]), str(files["second"])]
    one, other = (make({"modules": m}, model=two, steps=4, frames=1) for m in (modules, modules[:1]))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("use", "field", "said"),
    [
        ({"inputs": {}}, "inputs.face", "image"),
        ({"params": {"strength": 11}}, "params.strength", "less than or equal to 10"),
        ({"params": {"box": [9, 0, 3, 8]}}, "params", "left below right"),
        ({"params": {"box": [0, 0, 31, 8]}}, "params.box", "within the picture of 30x40"),
    ],
)
def test_mistakes(make, use, field, said):
    with pytest.raises(InvalidInput) as caught:
        make(use)
    assert caught.value.field == field and said in str(caught.value)
    assert str(caught.value).startswith("standin: ")


def test_a_mask_of_another_size(make, files):
    with pytest.raises(InvalidInput, match="30x40"):
        make({"inputs": {"face": files["face"], "face_mask": files["other"]}})


def test_another_base(make, files, tmp_path):
    wrong = make_module(tmp_path / "wrong.safetensors", dim=32)
    for use, model in (({"modules": [str(wrong)]}, None), ({}, make_tiny("i2v", tmp_path / "i2v"))):
        fields = {} if model is None else {"model": model, "inputs": {"image": files["face"]}}
        with pytest.raises(CheckpointError):
            make(use, **fields)
    few = make_module(tmp_path / "few.safetensors", layers=1)
    with pytest.raises(CheckpointError, match="1 blocks, not 2"):
        make({"modules": [str(few)]})


def test_it_is_no_lora(make, files):
    claim = StandInFamily().recognise(open_view(files["module"]))
    assert claim is not None and (claim.kind, claim.family) == ("module", "standin")
    with pytest.raises((CheckpointError, InvalidInput)):
        make(loras=[{"name": str(files["module"])}])


@given(
    st.integers(1, 60), st.integers(1, 60),
    st.tuples(st.integers(0, 59), st.integers(0, 59), st.integers(1, 60), st.integers(1, 60)),
)  # fmt: skip
def test_a_face_is_a_square_of_its_picture(width, height, corners):
    picture = np.zeros((height, width, 3), np.uint8)
    left, top = min(corners[0], width - 1), min(corners[1], height - 1)
    box = (left, top, min(left + corners[2], width), min(top + corners[3], height))
    cut = cropped(picture, box)
    assert cut.shape[0] <= height and cut.shape[1] <= width
    assert face_of(picture, [], 16).shape == (16, 16, 3)
    square = squared(picture)
    assert square.shape[0] == square.shape[1] == max(width, height)
    assert (square == 0).all(-1).sum() == width * height


def test_a_face_that_fills_the_picture_is_all_of_it():
    picture = np.zeros((50, 50, 3), np.uint8)
    assert cropped(picture, (BORDER, BORDER, 50 - BORDER, 50 - BORDER)) is picture
    assert cropped(picture, (BORDER + 1, BORDER, 50 - BORDER, 50 - BORDER)) is not picture
