"""Reading pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from wancore.errors import InvalidInput
from wancore.media import read_image
from wancore.media.image import MAX_IMAGE_PIXELS


def picture(height: int = 6, width: int = 9) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.webp"])
def test_lossless_formats_come_back_exactly(tmp_path: Path, name: str) -> None:
    Image.fromarray(picture()).save(tmp_path / name, **({"lossless": True} if name == "a.webp" else {}))
    read = read_image(tmp_path / name)
    assert read.dtype == np.uint8
    assert np.array_equal(read, picture())
    read[0, 0] = 0  # the array is the caller's


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(picture())
    exif = image.getexif()
    exif[0x0112] = 6  # shown turned by a quarter clockwise
    image.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(picture(), -1))


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 255, 128]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[10, 20, 30], [255, 255, 255], [127, 177, 255]]]


def test_palette_with_a_transparent_color(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png", transparency=1)
    assert read_image(tmp_path / "a.png").tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_grey_of_16_bits_is_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^last_image: got '.*none\.png'.*no such file"):
        read_image(tmp_path / "none.png", "last_image")


def test_other_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("a letter")
    with pytest.raises(InvalidInput, match=r"a\.png.*none of these"):
        read_image(tmp_path / "a.png")


def test_postscript_is_not_run(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.eps")
    with pytest.raises(InvalidInput, match="none of these"):
        read_image(tmp_path / "a.eps")


def test_truncated_file(tmp_path: Path) -> None:
    Image.fromarray(picture(64, 64)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput, match=r"a\.png.*cannot be decoded"):
        read_image(tmp_path / "a.png")


def test_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidInput, match="animation"):
        read_image(tmp_path / "a.gif")


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(InvalidInput, match="range is unknown"):
        read_image(tmp_path / "a.tiff")


def test_too_many_pixels(tmp_path: Path) -> None:
    side = int(MAX_IMAGE_PIXELS**0.5) + 1
    Image.new("1", (side, side)).save(tmp_path / "a.png")
    with pytest.raises(InvalidInput, match=f"{side} x {side} pixels"):
        read_image(tmp_path / "a.png")


def encoded(suffix: str) -> bytes:
    image = Image.fromarray(picture(24, 24))
    ImageDraw.Draw(image).line((0, 0, 23, 23))
    buffer = io.BytesIO()
    image.save(buffer, format=suffix)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF"]),
    place=st.floats(0, 1, exclude_max=True),
    junk=st.binary(min_size=1, max_size=8),
)
def test_damaged_files_give_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, place: float, junk: bytes
) -> None:
    whole = encoded(kind)
    start = int(place * len(whole))
    file = tmp_path_factory.getbasetemp() / "damaged"
    file.write_bytes(whole[:start] + junk + whole[start + len(junk) :])
    try:
        read = read_image(file)
    except InvalidInput as error:
        assert str(file) in str(error)
    else:
        assert read.ndim == 3
        assert read.dtype == np.uint8
