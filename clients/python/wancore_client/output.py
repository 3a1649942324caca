"""Where frames go: MP4, a folder of PNG files, a file of raw RGB, or standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from wancore_proto.v1 import frames_pb2

from wancore_client.errors import WancoreClientError
from wancore_client.frames import Frame

if TYPE_CHECKING:
    import av.container


class Sink(Protocol):
    """Takes frames in order."""

    def write(self, frame: Frame, header: frames_pb2.StreamHeader) -> None: ...

    def close(self) -> None: ...


@contextmanager
def output(out: str | None) -> Iterator[Sink]:
    """The sink for what a user wrote. Raises `WancoreClientError` for what it cannot be."""
    sink = chosen(out)
    try:
        yield sink
    finally:
        sink.close()


def chosen(out: str | None) -> Sink:
    if out is None:
        return Nothing()
    if out == "-":
        return Raw(sys.stdout.buffer, own=False)
    path = Path(out)
    if path.suffix == ".mp4":
        return Mp4(path)
    if path.suffix == ".rgb":
        path.parent.mkdir(parents=True, exist_ok=True)
        return Raw(path.open("wb"), own=True)
    if not path.suffix or path.is_dir():
        return Pngs(path)
    raise WancoreClientError(f"--out: got {out!r}; accepted: NAME.mp4, a folder, NAME.rgb, or -")


class Nothing:
    """For who only watches."""

    def write(self, frame: Frame, header: frames_pb2.StreamHeader) -> None:
        pass

    def close(self) -> None:
        pass


class Raw:
    """Raw RGB, one frame after another."""

    def __init__(self, stream: BinaryIO, own: bool) -> None:
        self.stream, self.own = stream, own

    def write(self, frame: Frame, header: frames_pb2.StreamHeader) -> None:
        self.stream.write(frame.data)
        self.stream.flush()

    def close(self) -> None:
        if self.own:
            self.stream.close()


class Pngs:
    """`000000.png` on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, frame: Frame, header: frames_pb2.StreamHeader) -> None:
        image_module().fromarray(frame.pixels).save(self.folder / f"{frame.index:06d}.png")

    def close(self) -> None:
        pass


def image_module() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise WancoreClientError("writing PNG needs the extra `wancore-client[video]`") from None
    return Image


class Mp4:
    """H.264, BT.709 limited range. The file takes its name when it is whole."""

    def __init__(self, path: Path) -> None:
        try:
            import av  # noqa: F401
        except ImportError:
            raise WancoreClientError("writing MP4 needs the extra `wancore-client[video]`") from None
        self.path, self.partial = path, path.with_name(f".{path.name}.part")
        self.container: av.container.OutputContainer | None = None
        self.count = 0

    def open(self, frame: Frame, header: frames_pb2.StreamHeader) -> None:
        import av

        if frame.width % 2 or frame.height % 2:
            raise WancoreClientError("MP4 needs an even width and height; write a folder of PNG files")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rate = Fraction(header.format.frame_rate.numerator, header.format.frame_rate.denominator)
        self.container = av.open(str(self.partial), "w", format="mp4", options={"movflags": "faststart"})
        self.stream = self.container.add_stream("libx264", rate=rate, options={"crf": "18"})
        self.stream.width, self.stream.height, self.stream.pix_fmt = frame.width, frame.height, "yuv420p"
        context = self.stream.codec_context
        context.time_base = 1 / rate
        context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709
        context.color_range = 1  # limited

    def write(self, frame: Frame, header: frames_pb2.StreamHeader) -> None:
        import av
        from av.video.reformatter import ColorRange, Colorspace

        if self.container is None or (frame.index == 0 and self.count):  # a new attempt starts over
            self.finish()
            self.open(frame, header)
            self.count = 0
        assert self.container is not None
        picture = av.VideoFrame.from_ndarray(frame.pixels, format="rgb24").reformat(
            format="yuv420p", src_colorspace=Colorspace.ITU709, dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.MPEG,
        )  # fmt: skip
        picture.pts, picture.time_base = self.count, self.stream.codec_context.time_base
        self.container.mux(self.stream.encode(picture))
        self.count += 1

    def finish(self) -> None:
        if self.container is not None:
            self.container.mux(self.stream.encode(None))
            self.container.close()
            self.container = None

    def close(self) -> None:
        if self.container is not None:
            self.finish()
            self.partial.replace(self.path)
