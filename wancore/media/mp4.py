"""H.264 in MP4, with PyAV (FFmpeg, libx264)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wancore.errors import InvalidInput, WancoreError
from wancore.media.metadata import MP4_TAG, mp4_comment
from wancore.media.pixels import Pixels
from wancore.media.sound import Sound, SoundTrack
from wancore.media.writer import FrameWriter, check_frames, check_size, frame_rate

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

BT709 = 1  # the number of the primaries, of the transfer curve and of the matrix (ITU-T H.273)
LIMITED = 1  # AVCOL_RANGE_MPEG
ENCODER: Final = "libx264"
DEFAULT_CRF = 18  # hardly to be told from the original


class Mp4Writer(FrameWriter):
    """H.264, yuv420p, BT.709 limited range (matrix applied and tagged), index before the frames.

    Frames go into a hidden file beside `path`, which takes its name when closed: an older file stays
    whole until then, and if no frame was written there is no file. `size` is (width, height), both
    even; `crf` 0 (largest file) to 51. `sound` becomes an AAC track, as long as the pictures. Missing
    folders are made. Raises `InvalidInput` for what cannot be, `WancoreError` where writing fails, which
    leaves no file.
    """

    def __init__(
        self,
        path: Path | str,
        fps: Fraction | int,
        size: tuple[int, int],
        metadata: Mapping[str, Any] | None = None,
        crf: int = DEFAULT_CRF,
        sound: Sound | None = None,
    ) -> None:
        from av.video.reformatter import VideoReformatter

        check_size(size)
        if size[0] % 2 or size[1] % 2:
            raise InvalidInput("size", size, "an even width and height: H.264 halves its colours both ways")
        if not 0 <= crf <= 51:
            raise InvalidInput("crf", crf, "0 to 51")
        require_encoder()
        self.path, self.size, self.fps = Path(path), size, frame_rate(fps)
        self.comment = None if metadata is None else mp4_comment(metadata)
        self.partial = self.path.with_name(f".{self.path.name}.part")
        self.frames = 0
        self.closed = self.failed = False
        self.reformatter = VideoReformatter()
        with self.errors_named():
            make_room(self.path)
            self.container = self.opened()
            self.stream = self.video_stream(crf)
            self.track = SoundTrack(self.container, sound) if sound is not None else None

    def opened(self) -> OutputContainer:
        import av

        container = av.open(
            str(self.partial.absolute()), "w", format="mp4", options={"movflags": "faststart"}
        )
        if self.comment is not None:
            container.metadata[MP4_TAG] = self.comment
        return container

    def video_stream(self, crf: int) -> VideoStream:
        stream = self.container.add_stream(ENCODER, rate=self.fps, options={"crf": str(crf)})
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / self.fps
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED
        return stream

    def write(self, frames: Pixels) -> None:
        check_frames(frames, self.size)
        with self.errors_named():
            for picture in frames:
                frame = self.converted(picture)
                frame.pts, frame.time_base = self.frames, 1 / self.fps
                self.container.mux(self.stream.encode(frame))
                self.frames += 1
            if self.track is not None:
                self.container.mux(list(self.track.until(self.frames / self.fps)))

    def converted(self, picture: Pixels) -> VideoFrame:
        """[H, W, 3] -> yuv420p; colours are the mean of 2 x 2 pixels."""
        import av
        from av.video.reformatter import ColorRange, Colorspace, Interpolation

        return self.reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"),
            format="yuv420p",
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA,
        )

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        try:
            with self.errors_named():
                whole = self.frames > 0 and not self.failed
                if whole:
                    self.container.mux(self.stream.encode(None))
                    if self.track is not None:
                        self.container.mux(list(self.track.rest()))
                self.container.close()
                if whole:
                    self.partial.replace(self.path)
        finally:
            self.partial.unlink(missing_ok=True)

    @contextmanager
    def errors_named(self) -> Iterator[None]:
        """Errors of the operating system and of FFmpeg, with the file they are about."""
        import av

        try:
            yield
        except (OSError, av.FFmpegError) as error:
            self.failed = True  # muxing further would crash the process
            raise WancoreError(f"{self.path}: cannot be written: {error}") from error


def require_encoder() -> None:
    """Raises `WancoreError` with an FFmpeg that was built without the encoder."""
    import av

    if ENCODER not in av.codec.codecs_available:
        raise WancoreError(f"this installation of PyAV has no {ENCODER}; install the `av` wheel")


def make_room(path: Path) -> None:
    """Makes the folder for a file. Raises `InvalidInput` where `path` is a folder itself."""
    if path.is_dir():
        raise InvalidInput("out", str(path), "the name of a file; this is a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
