"""The sound of an MP4 file that is being written."""

from __future__ import annotations

import wave
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av.container


def wav_of(pcm16: bytes, rate: int) -> bytes:
    """Mono 16-bit samples as a WAV file."""
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm16)
    return buffer.getvalue()


class SoundTrack:
    """`wav`: a mono 16-bit WAV file, which may grow. Written as AAC, as far as the pictures are."""

    def __init__(self, container: av.container.OutputContainer, wav: bytes) -> None:
        self.hear(wav)
        self.container = container
        self.stream: Any = container.add_stream("aac", rate=self.rate, layout="mono")
        self.written = 0

    def hear(self, wav: bytes) -> None:
        """The same sound, and more of it."""
        with wave.open(BytesIO(wav), "rb") as file:
            self.rate = file.getframerate()
            self.samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")

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
