"""Reading video."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.media.colors import centers, colors, encode_planes, patches
from wancore.errors import InvalidInput
from wancore.media import Mp4Writer, read_video
from wancore.media import video as module

SMPTE170M, BT709 = 6, 1


def smooth(frames: int = 5, height: int = 32, width: int = 48) -> np.ndarray:
    t, y, x = np.mgrid[:frames, :height, :width]
    return np.stack([x * 4, y * 6, 40 * t + 20], axis=-1).astype(np.uint8)


def write(path: Path, frames: np.ndarray, fps: Fraction | int = 16) -> Path:
    with Mp4Writer(path, fps, (frames.shape[2], frames.shape[1])) as writer:
        writer.write(frames)
    return path


@pytest.mark.parametrize(
    ("matrix", "tag", "full"),
    [
        (709, BT709, False),
        (709, BT709, True),
        (601, SMPTE170M, False),
        (601, SMPTE170M, True),
        (601, None, False),
    ],
)
def test_colors_follow_the_tags(tmp_path: Path, matrix: int, tag: int | None, full: bool) -> None:
    encode_planes(tmp_path / "a.mp4", colors(), matrix, full, tag)
    read = read_video(tmp_path / "a.mp4").frames
    assert np.abs(centers(read[0]).astype(int) - colors()).max() <= 3  # 8-bit YUV alone costs 2


def test_untagged_high_definition_is_bt709(tmp_path: Path) -> None:
    tall = patches(colors(), 10)  # 40 x 40 patches: 640 rows
    encode_planes(tmp_path / "a.mp4", tall, 709, False, None)
    read = read_video(tmp_path / "a.mp4").frames
    assert np.abs(centers(read[0]).astype(int) - tall).max() <= 3


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".avi", ".webm"])
def test_containers(tmp_path: Path, suffix: str) -> None:
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    with av.open(str(tmp_path / f"a{suffix}"), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for picture in smooth():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    video = read_video(tmp_path / f"a{suffix}")
    assert video.frames.shape == (5, 32, 48, 3)
    assert video.frames.flags.writeable
    assert video.fps == 25


def test_phone_video_is_turned_upright(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mp4", smooth())
    lying = read_video(file).frames
    data = file.read_bytes()
    start = data.index(b"tkhd") + 44  # the display matrix of the track header, ISO/IEC 14496-12
    one = 1 << 16
    quarter = struct.pack(">9i", 0, one, 0, -one, 0, 0, 32 * one, 0, 1 << 30)
    file.write_bytes(data[:start] + quarter + data[start + 36 :])
    assert np.array_equal(read_video(file).frames, np.rot90(lying, -1, axes=(1, 2)))


def test_gif_with_transparency(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (8, 8), color) for color in ((255, 0, 0, 255), (0, 0, 255, 255))]
    frames[0].putpixel((0, 0), (0, 0, 0, 0))
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100, disposal=2)
    video = read_video(tmp_path / "a.gif")
    assert video.fps == 10
    assert video.frames[0, 0, 0].tolist() == [255, 255, 255]
    assert video.frames[:, 4, 4].tolist() == [[255, 0, 0], [0, 0, 255]]


def test_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "http:a.mp4", smooth())
    assert len(read_video("http:a.mp4").frames) == 5


def test_playlists_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", smooth())
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n")
    with pytest.raises(InvalidInput, match="cannot be decoded"):
        read_video(tmp_path / "list.m3u8")


@pytest.mark.parametrize("kind", ["picture", "text", "sound", "missing", "empty"])
def test_other_kinds_of_file(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.mp4"
    if kind == "picture":
        Image.fromarray(smooth()[0]).save(file, format="PNG")
    elif kind == "text":
        file.write_text("no video at all\n" * 50)
    elif kind == "sound":
        with av.open(str(file), "w") as container:
            stream = container.add_stream("aac", rate=16000)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate = 16000
            container.mux([*stream.encode(silence), *stream.encode(None)])
    elif kind == "empty":
        file.touch()
    with pytest.raises(InvalidInput, match=r"^driving: got .*a\.mp4.*accepted: a video file"):
        read_video(file, "driving")


def test_high_dynamic_range_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p10le"
        stream.codec_context.color_trc = 18  # HLG
        container.mux([*stream.encode(av.VideoFrame(32, 32, "yuv420p10le")), *stream.encode(None)])
    with pytest.raises(InvalidInput, match="high dynamic range"):
        read_video(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_FRAMES", 4, "has more"),
        ("MAX_FRAME_PIXELS", 1000, "48 x 32"),
        ("MAX_VIDEO_BYTES", 20_000, "48 x 32"),
    ],
)
def test_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, message: str
) -> None:
    file = write(tmp_path / "a.mp4", smooth())
    monkeypatch.setattr(module, limit, value)
    with pytest.raises(InvalidInput, match=message):
        read_video(file)


def test_as_many_frames_as_allowed(tmp_path: Path) -> None:
    frames = np.zeros((module.MAX_FRAMES, 16, 16, 3), np.uint8)
    assert len(read_video(write(tmp_path / "a.mp4", frames)).frames) == module.MAX_FRAMES


@settings(deadline=None, max_examples=40)
@given(place=st.floats(0, 1, exclude_max=True), junk=st.binary(min_size=1, max_size=16), cut=st.booleans())
def test_damaged_files_give_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, place: float, junk: bytes, cut: bool
) -> None:
    whole = sample()
    start = int(place * len(whole))
    file = tmp_path_factory.getbasetemp() / "damaged.mp4"
    file.write_bytes(whole[:start] + junk + (b"" if cut else whole[start + len(junk) :]))
    try:
        video = read_video(file)
    except InvalidInput as error:
        assert str(file) in str(error)
    else:
        assert video.frames.dtype == np.uint8
        assert video.fps > 0


def sample() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for picture in smooth():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()
