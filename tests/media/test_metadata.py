"""The request kept in the file it made."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wancore.errors import InvalidInput
from wancore.media import Mp4Writer, PngWriter, read_metadata, write_png

FRAME = np.zeros((1, 16, 16, 3), np.uint8)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text(), anything, max_size=4)


@settings(deadline=None, max_examples=40)
@given(document=documents)
def test_mp4_gives_back_any_json(tmp_path_factory: pytest.TempPathFactory, document: dict) -> None:
    file = tmp_path_factory.getbasetemp() / "any.mp4"
    with Mp4Writer(file, 16, (16, 16), document) as writer:
        writer.write(FRAME)
    assert read_metadata(file) == document


@settings(deadline=None, max_examples=60)
@given(document=documents)
def test_png_gives_back_any_json(tmp_path_factory: pytest.TempPathFactory, document: dict) -> None:
    file = tmp_path_factory.getbasetemp() / "any.png"
    write_png(file, FRAME[0], document)
    assert read_metadata(file) == document


def test_a_long_prompt(tmp_path: Path) -> None:
    document = {"prompt": "色调艳丽，过曝 – “naïve” 🎬\n\0" * 2000}
    with Mp4Writer(tmp_path / "a.mp4", 16, (16, 16), document) as writer:
        writer.write(FRAME)
    write_png(tmp_path / "a.png", FRAME[0], document)
    assert read_metadata(tmp_path / "a.mp4") == read_metadata(tmp_path / "a.png") == document


def test_every_file_of_a_folder_has_it(tmp_path: Path) -> None:
    with PngWriter(tmp_path, (16, 16), {"seed": 3}) as writer:
        writer.write(FRAME.repeat(2, axis=0))
    assert read_metadata(tmp_path) == read_metadata(tmp_path / "000001.png") == {"seed": 3}


def test_another_program_finds_it(tmp_path: Path) -> None:
    with Mp4Writer(tmp_path / "a.mp4", 16, (16, 16), {"seed": 3}) as writer:
        writer.write(FRAME)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["comment"] == '{"wancore": {"seed": 3}}'
    write_png(tmp_path / "a.png", FRAME[0], {"seed": 3})
    with Image.open(tmp_path / "a.png") as image:
        assert image.text == {"wancore": '{"seed": 3}'}


@pytest.mark.parametrize("comment", [None, "holiday", '{"seed": 3}', '["wancore"]', '{"wancore": 3}'])
def test_a_video_of_another_program(tmp_path: Path, comment: str | None) -> None:
    file = tmp_path / "a.mp4"
    with av.open(str(file), "w") as container:
        if comment is not None:
            container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        container.mux([*stream.encode(av.VideoFrame(16, 16, "yuv420p")), *stream.encode(None)])
    with pytest.raises(InvalidInput, match=r"a\.mp4.*has none"):
        read_metadata(file)


def test_a_picture_of_another_program(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", FRAME[0])
    with pytest.raises(InvalidInput, match=r"a\.png.*has none"):
        read_metadata(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["text", "empty folder", "missing", "damaged"])
def test_what_holds_no_metadata(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "text":
        path.write_text("a letter")
    elif kind == "empty folder":
        path.mkdir()
    elif kind == "damaged":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(InvalidInput, match="thing"):
        read_metadata(path)
