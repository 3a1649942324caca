"""Video from files, with PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wancore.errors import InvalidInput
from wancore.media.pixels import Pixels, on_white

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

MAX_FRAMES = 4096
MAX_FRAME_PIXELS = 64_000_000
MAX_VIDEO_BYTES = 16 * 2**30  # decoded
ACCEPTED = f"a video file (MP4, MOV, WebM, Matroska, AVI, MPEG-TS, GIF) of at most {MAX_FRAMES} frames"

#: A file must not make FFmpeg read others: no playlists, no network.
OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,gif",
    "protocol_whitelist": "file",
}
HD_ROWS = 576  # untagged video with more rows than this is taken for BT.709, else for BT.601


@dataclass(frozen=True)
class Video:
    """`frames` uint8 [T, H, W, 3], RGB, full range; `fps` frames per second."""

    frames: Pixels
    fps: Fraction


def read_video(path: Path | str, field: str = "video") -> Video:
    """All frames of a file's (best) video stream, in the order in which they are shown.

    Turned upright as the file says, transparency laid over white, pixels as stored even where the
    file calls them not square. `fps` is the average rate. Raises `InvalidInput` for `field`, naming
    the file, if it is missing, no video, damaged, high dynamic range or larger than the limits above.
    """
    import av

    if not Path(path).is_file():
        raise refused(field, path, "there is no such file")
    try:
        # Absolute, so that a name with a colon is a file and not a protocol.
        with av.open(str(Path(path).absolute()), options=OPTIONS) as container:
            stream = container.streams.best("video")
            if not isinstance(stream, av.VideoStream):
                raise refused(field, path, "this file has no video stream")
            return decoded(container.decode(stream), stream)
    except Unsuitable as error:
        raise refused(field, path, str(error)) from None
    except (av.FFmpegError, UnicodeError) as error:
        raise refused(field, path, f"this file cannot be decoded ({error})") from error


class Unsuitable(Exception):
    """A video that can be decoded and is not taken; the text says why."""


def decoded(frames: Iterator[VideoFrame], stream: VideoStream) -> Video:
    """Decodes and gathers every frame."""
    from av.video.reformatter import VideoReformatter

    stream.thread_type = "AUTO"
    reformatter = VideoReformatter()
    gathered = bytearray()  # grows in place, where a list of frames would need twice the memory to join
    shape: tuple[int, ...] = ()
    for i, frame in enumerate(frames):
        check_frame(frame, i, len(gathered))
        picture = upright(rgb(frame, reformatter), frame.rotation)
        if shape and picture.shape != shape:
            raise Unsuitable(f"this one changes its size at frame {i}")
        shape = picture.shape
        gathered += picture.tobytes()
    fps = stream.average_rate or stream.guessed_rate
    if not shape or not fps:
        raise Unsuitable("this file has no frames" if not shape else "this file tells no frame rate")
    return Video(np.frombuffer(gathered, np.uint8).reshape(-1, *shape), Fraction(fps))


def check_frame(frame: VideoFrame, index: int, size: int) -> None:
    """Checks the next frame, with `index` frames of `size` bytes gathered before it."""
    from av.video.reformatter import ColorTrc

    pixels = frame.width * frame.height
    if index >= MAX_FRAMES:
        raise Unsuitable("this one has more")
    if pixels > MAX_FRAME_PIXELS or size + 3 * pixels > MAX_VIDEO_BYTES:
        raise Unsuitable(
            f"this one has {frame.width} x {frame.height} pixels, too many for its number of frames"
        )
    if frame.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67):
        raise Unsuitable("this one is high dynamic range (PQ or HLG); convert it to standard range first")


def rgb(frame: VideoFrame, reformatter: VideoReformatter) -> Pixels:
    """uint8 [H, W, 3], by the colour matrix and range that the frame is tagged with."""
    from av.video.reformatter import ColorRange, Interpolation

    alpha = any(component.is_alpha for component in frame.format.components)
    converted = reformatter.reformat(
        frame,
        format="rgba" if alpha else "rgb24",
        src_colorspace=matrix(frame),
        src_color_range=frame.color_range or ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
    )
    pixels: Any = converted.to_ndarray()
    return on_white(pixels) if alpha else pixels


def matrix(frame: VideoFrame) -> int | None:
    """The YUV matrix of a frame without a tag; None where it has one."""
    from av.video.reformatter import Colorspace

    unspecified = 2  # AVCOL_SPC_UNSPECIFIED
    if frame.colorspace != unspecified:
        return None
    return Colorspace.ITU709 if frame.height > HD_ROWS else Colorspace.ITU601


def upright(picture: Pixels, rotation: int) -> Pixels:
    """Turns [H, W, 3] by `rotation` degrees against the clock."""
    if rotation % 90:
        raise Unsuitable(f"this one is to be shown turned by {rotation} degrees")
    return np.rot90(picture, rotation // 90) if rotation else picture


def refused(field: str, path: Path | str, problem: str) -> InvalidInput:
    return InvalidInput(field, str(path), f"{ACCEPTED}; {problem}")
