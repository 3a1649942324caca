"""PNG folders, raw RGB, contact sheets, and choosing between them."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wancore.errors import InvalidInput, WancoreError
from wancore.media import Mp4Writer, PngWriter, RawWriter, contact_sheet, open_writer, read_image, write_png
from wancore.media.sheet import GAP

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 8, 16, 3), dtype=np.uint8)
SIZE = (16, 8)


def test_png_files_are_exact_and_numbered(tmp_path: Path) -> None:
    with PngWriter(tmp_path / "a" / "b", SIZE) as writer:
        writer.write(FRAMES[:2])
        writer.write(FRAMES[2:])
    files = sorted((tmp_path / "a" / "b").iterdir())
    assert [file.name for file in files] == [f"{i:06d}.png" for i in range(5)]
    assert np.array_equal(np.stack([read_image(file) for file in files]), FRAMES)
    with Image.open(files[0]) as image:
        assert image.info["srgb"] == 0


def test_frames_of_another_run_are_not_mixed(tmp_path: Path) -> None:
    with PngWriter(tmp_path, SIZE) as writer:
        writer.write(FRAMES)
    with pytest.raises(InvalidInput, match="without numbered PNG files"):
        PngWriter(tmp_path, SIZE)
    (tmp_path / "notes.png").touch()
    with open_writer(str(tmp_path), 16, SIZE, overwrite=True) as writer:
        writer.write(FRAMES[3:])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000000.png", "000001.png", "notes.png"]
    assert np.array_equal(read_image(tmp_path / "000000.png"), FRAMES[3])


def test_other_files_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "notes.png").touch()
    PngWriter(tmp_path, SIZE).close()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="this is a file"):
        PngWriter(tmp_path / "file", SIZE)
    with pytest.raises(WancoreError, match="cannot be written"):
        PngWriter(tmp_path / "file" / "folder", SIZE)


def test_raw_is_the_bytes_of_the_frames() -> None:
    stream = io.BytesIO()
    with RawWriter(stream, SIZE) as writer:
        writer.write(FRAMES[:3])
        writer.write(FRAMES[3:][::-1])
    assert stream.getvalue() == FRAMES[:3].tobytes() + FRAMES[:2:-1].tobytes()
    assert not stream.closed


def test_raw_on_standard_output() -> None:
    script = (
        "import numpy as np\n"
        "from wancore.media import open_writer\n"
        "with open_writer('-', 16, (16, 8), {'seed': 1}) as writer:\n"
        "    writer.write(np.full((2, 8, 16, 3), 200, np.uint8))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert result.stdout == bytes([200]) * (2 * 8 * 16 * 3)


@pytest.mark.parametrize(
    ("out", "kind"),
    [
        ("a.mp4", Mp4Writer),
        ("a.MP4", Mp4Writer),
        ("new", PngWriter),
        ("v1.2/", PngWriter),
        ("old.d", PngWriter),
        ("-", RawWriter),
    ],
)
def test_the_name_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, kind: type) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.d").mkdir()
    with open_writer(out, 16, SIZE) as writer:
        assert isinstance(writer, kind)


@pytest.mark.parametrize("out", ["a.avi", "a.mp4.txt", "", "sub/a.webm"])
def test_other_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=r"^out: got .*accepted: .*\.mp4, a folder"):
        open_writer(out, 16, SIZE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (5, 2, 3), (4, 4, 1), (2, 3, 1)])
def test_contact_sheet(count: int, columns: int, rows: int) -> None:
    sheet = contact_sheet(FRAMES[:count], columns)
    assert sheet.shape == (rows * (8 + GAP) - GAP, columns * (16 + GAP) - GAP, 3)
    seen = np.full(sheet.shape[:2], False)
    for i in range(count):
        top, left = i // columns * (8 + GAP), i % columns * (16 + GAP)
        assert np.array_equal(sheet[top : top + 8, left : left + 16], FRAMES[i])
        seen[top : top + 8, left : left + 16] = True
    assert (sheet[~seen] == 255).all()


def test_contact_sheet_of_nothing() -> None:
    with pytest.raises(InvalidInput, match="frames"):
        contact_sheet(FRAMES[:0], 2)
    with pytest.raises(InvalidInput, match="columns"):
        contact_sheet(FRAMES, 0)


@pytest.mark.parametrize(
    "picture", [FRAMES, FRAMES[0].astype(np.float32), FRAMES[0, :, :0], FRAMES[0, ..., :1]]
)
def test_write_png_takes_pictures_only(tmp_path: Path, picture: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="picture"):
        write_png(tmp_path / "a.png", picture)
