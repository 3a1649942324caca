"""Raw RGB, for another program to read."""

from __future__ import annotations

from typing import BinaryIO

from wancore.media.pixels import Pixels
from wancore.media.writer import FrameWriter, check_frames, check_size


class RawWriter(FrameWriter):
    """RGB24 frames one after another (`-f rawvideo -pix_fmt rgb24` for FFmpeg); holds no metadata.

    Every write is flushed, so that a reader shows frames as they are made. The stream is the
    caller's and stays open.
    """

    def __init__(self, stream: BinaryIO, size: tuple[int, int]) -> None:
        check_size(size)
        self.stream, self.size, self.frames = stream, size, 0

    def write(self, frames: Pixels) -> None:
        check_frames(frames, self.size)
        for picture in frames:
            self.stream.write(picture.tobytes())
            self.frames += 1
        self.stream.flush()

    def close(self) -> None:
        """Nothing to do: every write is flushed."""
