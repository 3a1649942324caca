"""Where frames go: MP4, a folder of PNG files, a file of raw RGB, or standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from wancore_proto.v1 import frames_pb2

from wancore_client.errors import WancoreClientError
from wancore_client.frames import Frame
from wancore_client.soundtrack import SoundTrack

if TYPE_CHECKING:
    import av.container


class Sink(Protocol):
    """Takes frames in order."""

    def hear(self, wav: bytes) -> None:
        """What is heard with the frames: a WAV file, before the first of them. Only MP4 holds it."""
        return

    def write(self, frame: Frame, header: frames_pb2.StreamHeader) -> None: ...

    def close(self) -> None: ...


@contextmanager
def output(out: str | None, marked: bool = True) -> Iterator[Sink]:
    """The sink for what a user wrote (`marked`: see `Mp4`). Raises `WancoreClientError`."""
    try:
        sink = chosen(out, marked)
    except OSError as error:
        problem = f"a place that can be written to ({error.strerror})"
        raise WancoreClientError(f"--out: got {out!r}; accepted: {problem}") from error
    try:
        yield sink
    finally:
        sink.close()


def chosen(out: str | None, marked: bool) -> Sink:
    if out is None:
        return Nothing()
    if out == "-":
        return Raw(sys.stdout.buffer, own=False)
    path = Path(out)
    if path.suffix == ".mp4":
        return Mp4(path, marked)
    if path.suffix == ".rgb":
        path.parent.mkdir(parents=True, exist_ok=True)
        return Raw(path.open("wb"), own=True)
    if not path.suffix or path.is_dir():
        return Pngs(path)
    raise WancoreClientError(f"--out: got {out!r}; accepted: NAME.mp4, a folder, NAME.rgb, or -")


class Nothing(Sink):
    """For who only watches."""

    def write(self, frame: Frame, header: frames_pb2.StreamHeader) -> None:
        pass

    def close(self) -> None:
        pass


class Raw(Sink):
    """Raw RGB, one frame after another."""

    def __init__(self, stream: BinaryIO, own: bool) -> None:
        self.stream, self.own = stream, own

    def write(self, frame: Frame, header: frames_pb2.StreamHeader) -> None:
        self.stream.write(frame.data)
        self.stream.flush()

    def close(self) -> None:
        if self.own:
            self.stream.close()


class Pngs(Sink):
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


class Mp4(Sink):
    """H.264, BT.709 limited range. The file takes its name when it is whole.

    `marked`: its metadata say that a model made it, and which job.
    """

    def __init__(self, path: Path, marked: bool = True) -> None:
        try:
            import av  # noqa: F401
        except ImportError:
            raise WancoreClientError("writing MP4 needs the extra `wancore-client[video]`") from None
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.partial = path, path.with_name(f".{path.name}.part")
        self.container: av.container.OutputContainer | None = None
        self.count, self.marked = 0, marked
        self.wav: bytes | None = None
        self.sound: SoundTrack | None = None

    def hear(self, wav: bytes) -> None:
        self.wav = wav
        if self.sound is not None:
            self.sound.hear(wav)

    def open(self, frame: Frame, header: frames_pb2.StreamHeader) -> None:
        import av

        if frame.width % 2 or frame.height % 2:
            raise WancoreClientError("MP4 needs an even width and height; write a folder of PNG files")
        rate = Fraction(header.format.frame_rate.numerator, header.format.frame_rate.denominator)
        self.container = av.open(str(self.partial), "w", format="mp4", options={"movflags": "faststart"})
        self.stream = self.container.add_stream("libx264", rate=rate, options={"crf": "18"})
        self.stream.width, self.stream.height, self.stream.pix_fmt = frame.width, frame.height, "yuv420p"
        context = self.stream.codec_context
        context.time_base = 1 / rate
        context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709
        context.color_range = 1  # limited
        if self.marked:
            self.container.metadata["comment"] = mark(header)
        self.sound = SoundTrack(self.container, self.wav) if self.wav is not None else None

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
        if self.sound is not None:
            self.sound.until(self.count * self.stream.codec_context.time_base)

    def finish(self) -> None:
        if self.container is not None:
            self.container.mux(self.stream.encode(None))
            if self.sound is not None:
                self.sound.end()
            self.container.close()
            self.container = None

    def close(self) -> None:
        if self.container is not None:
            self.finish()
            self.partial.replace(self.path)


def mark(header: frames_pb2.StreamHeader) -> str:
    """That a model made it (IPTC's term), and what to ask the server for."""
    told = {
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "job": header.job,
        "seed": header.seed,
    }
    return json.dumps({"wancore": told})
