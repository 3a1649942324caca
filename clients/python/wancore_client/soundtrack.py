"""The sound of an MP4 file that is being written."""

from __future__ import annotations

import wave
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av.container


class SoundTrack:
    """`wav`: a mono 16-bit WAV file. Written as AAC, as far as the pictures are."""

    def __init__(self, container: av.container.OutputContainer, wav: bytes) -> None:
        with wave.open(BytesIO(wav), "rb") as file:
            self.rate = file.getframerate()
            self.samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        self.container = container
        self.stream: Any = container.add_stream("aac", rate=self.rate, layout="mono")
        self.written = 0

    def until(self, seconds: Fraction) -> None:
        """Sound up to `seconds` from the beginning, or its end."""
        import av

        stop = min(len(self.samples), round(seconds * self.rate))
        if stop <= self.written:
            return
        part = self.samples[self.written : stop].astype(np.float32)[None] / 32768
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = self.rate, Fraction(1, self.rate)
        frame.pts, self.written = self.written, stop
        self.container.mux(self.stream.encode(frame))

    def end(self) -> None:
        self.container.mux(self.stream.encode(None))
