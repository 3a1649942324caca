"""Writing H.264."""

from __future__ import annotations

import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media.colors import CELL, centers, colors, patches, yuv
from wancore.errors import InvalidInput, WancoreError
from wancore.media import Mp4Writer, read_metadata, read_video

SIZE = (48, 32)


def smooth(frames: int) -> np.ndarray:
    t, y, x = np.mgrid[:frames, : SIZE[1], : SIZE[0]]
    return np.stack([x * 4, y * 6, 100 + 3 * t], axis=-1).astype(np.uint8)


def planes(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y [H, W], Cb and Cr [H/2, W/2] of the first frame, as stored."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        stored = frame.to_ndarray()
    height, width = frame.height, frame.width
    cb, cr = stored[height:].reshape(2, height // 2, width // 2)
    return stored[:height], cb, cr


@pytest.mark.parametrize("seed", range(4))
def test_colors_are_bt709_limited_range(tmp_path: Path, seed: int) -> None:
    with Mp4Writer(tmp_path / "a.mp4", 16, (4 * CELL, 4 * CELL), crf=1) as writer:
        writer.write(patches(colors(seed))[None])
    y, cb, cr = planes(tmp_path / "a.mp4")
    stored = np.stack([centers(y), centers(cb, CELL // 2), centers(cr, CELL // 2)], axis=-1)
    assert np.abs(stored - yuv(colors(seed), 709, full=False)).max() < 1.6


def test_smooth_pictures_come_back_within_a_few_levels(tmp_path: Path) -> None:
    with Mp4Writer(tmp_path / "a.mp4", 16, SIZE) as writer:
        writer.write(smooth(9))
    error = np.abs(read_video(tmp_path / "a.mp4").frames.astype(int) - smooth(9))
    assert error.mean() < 2
    assert error.max() <= 10


def test_color_tags_in_the_stream_and_in_the_container(tmp_path: Path) -> None:
    with Mp4Writer(tmp_path / "a.mp4", 16, SIZE) as writer:
        writer.write(smooth(1))
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p"
        tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        frame = next(container.decode(video=0))
    assert tags == (1, 1, 1, 1)
    assert (frame.colorspace, frame.color_range) == (1, 1)
    assert b"colrnclx" + bytes([0, 1, 0, 1, 0, 1, 0]) in (tmp_path / "a.mp4").read_bytes()


def test_the_index_stands_before_the_frames(tmp_path: Path) -> None:
    with Mp4Writer(tmp_path / "a.mp4", 16, SIZE) as writer:
        writer.write(smooth(3))
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@settings(deadline=None, max_examples=25)
@given(
    fps=st.fractions(1, 240, max_denominator=1001) | st.sampled_from([Fraction(30000, 1001), Fraction(1000)]),
    frames=st.integers(1, 12),
)
def test_frame_rate_and_count(tmp_path_factory: pytest.TempPathFactory, fps: Fraction, frames: int) -> None:
    file = tmp_path_factory.getbasetemp() / "rate.mp4"
    with Mp4Writer(file, fps, SIZE) as writer:
        writer.write(smooth(frames))
    video = read_video(file)
    assert video.fps == fps
    assert len(video.frames) == frames


def test_frames_may_come_in_pieces(tmp_path: Path) -> None:
    for name, pieces in (("whole.mp4", [9]), ("pieces.mp4", [1, 4, 0, 4])):
        with Mp4Writer(tmp_path / name, 16, SIZE) as writer:
            for part in np.split(smooth(9), np.cumsum(pieces)[:-1]):
                writer.write(part)
    assert np.array_equal(
        read_video(tmp_path / "whole.mp4").frames, read_video(tmp_path / "pieces.mp4").frames
    )


def test_an_exception_leaves_the_frames_made_so_far(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Mp4Writer(tmp_path / "a.mp4", 16, SIZE, {"seed": 1}) as writer:
        writer.write(smooth(5))
        raise ZeroDivisionError
    assert len(read_video(tmp_path / "a.mp4").frames) == 5
    assert read_metadata(tmp_path / "a.mp4") == {"seed": 1}


INTERRUPTED = """
import sys
import numpy as np
from wancore.media import Mp4Writer
with Mp4Writer(sys.argv[1], 16, (48, 32)) as writer:
    writer.write(np.zeros((7, 32, 48, 3), np.uint8))
    print("written", flush=True)
    sys.stdin.read()
"""


def test_ctrl_c_leaves_the_frames_made_so_far(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "a.mp4")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    assert len(read_video(tmp_path / "a.mp4").frames) == 7
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_without_a_frame_the_older_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_text("older")
    Mp4Writer(file, 16, SIZE).close()
    assert file.read_text() == "older"
    assert [f.name for f in tmp_path.iterdir()] == ["a.mp4"]


def test_closing_twice(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "sub" / "a.mp4", 16, SIZE)
    writer.write(smooth(1))
    writer.close()
    writer.close()
    assert len(read_video(tmp_path / "sub" / "a.mp4").frames) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"size": (47, 32)}, "size"),
        ({"size": (48, 31)}, "size"),
        ({"size": (0, 32)}, "size"),
        ({"fps": 0}, "fps"),
        ({"fps": Fraction(1, 3)}, "fps"),
        ({"fps": 1001}, "fps"),
        ({"crf": 52}, "crf"),
        ({"metadata": {"a": {1, 2}}}, "metadata"),
        ({"metadata": {"a": float("nan")}}, "metadata"),
    ],
)
def test_what_cannot_be_is_refused_before_a_file_is_made(tmp_path: Path, change: dict, field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        Mp4Writer(**{"path": tmp_path / "a.mp4", "fps": 16, "size": SIZE, **change})
    assert error.value.field == field
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((1, 32, 50, 3), np.uint8),
        np.zeros((32, 48, 3), np.uint8),
        np.zeros((1, 32, 48, 3), np.float32),
        np.zeros((1, 32, 48, 4), np.uint8),
    ],
)
def test_other_frames_are_refused(tmp_path: Path, frames: np.ndarray) -> None:
    with Mp4Writer(tmp_path / "a.mp4", 16, SIZE) as writer, pytest.raises(InvalidInput, match="32, 48, 3"):
        writer.write(frames)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WancoreError, match=r"file/a\.mp4: cannot be written"):
        Mp4Writer(tmp_path / "file" / "a.mp4", 16, SIZE)


FULL_DISK = """
import resource, signal, sys
import numpy as np
from wancore.errors import WancoreError
from wancore.media import Mp4Writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
noise = np.random.default_rng(0).integers(0, 256, (100, 32, 48, 3), dtype=np.uint8)
try:
    with Mp4Writer(sys.argv[1], 16, (48, 32)) as writer:
        writer.write(noise)
except WancoreError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 20_000])
def test_a_full_disk_names_the_file_and_leaves_none(tmp_path: Path, room: int) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.mp4"), str(room)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{tmp_path / 'a.mp4'}: cannot be written" in result.stdout
    assert list(tmp_path.iterdir()) == []
