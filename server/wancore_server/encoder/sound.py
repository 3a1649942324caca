"""A video's sound as AAC, packet by packet, so that each block of frames takes its part along.

The whole sound is encoded at once: cut into blocks first, every seam would be heard.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np

BIT_RATE = 64_000  # mono speech
CODEC = "mp4a.40.2"  # RFC 6381: AAC LC


@dataclass(frozen=True)
class Coded:
    """One AAC packet; `start` in samples."""

    start: int
    samples: int
    data: bytes


@dataclass(frozen=True)
class SoundTrack:
    """`rate` samples per second, mono."""

    rate: int
    packets: tuple[Coded, ...]

    @classmethod
    @lru_cache(maxsize=4)
    def of(cls, path: Path) -> SoundTrack:
        """The sound of a WAV file that does not change."""
        with wave.open(str(path), "rb") as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return cls(rate, tuple(encoded(samples, rate)))

    def between(self, start: Fraction, stop: Fraction) -> list[Coded]:
        """Packets that begin in [start, stop) seconds."""
        return [p for p in self.packets if start <= Fraction(p.start, self.rate) < stop]

    def add_to(self, container: av.container.OutputContainer) -> av.AudioStream:
        stream: av.AudioStream = container.add_stream("aac", rate=self.rate, layout="mono")
        stream.bit_rate = BIT_RATE
        return stream

    def mux(
        self, container: av.container.OutputContainer, stream: av.AudioStream, packets: Iterable[Coded]
    ) -> None:
        for coded in packets:
            packet: Any = av.Packet(coded.data)
            packet.stream, packet.time_base = stream, Fraction(1, self.rate)
            packet.pts = packet.dts = coded.start
            packet.duration, packet.is_keyframe = coded.samples, True
            container.mux(packet)


def encoded(samples: np.ndarray, rate: int) -> Iterator[Coded]:
    """int16 [S] -> packets; the encoder's lead-in, which no player shows, is left out."""
    context: Any = av.CodecContext.create("aac", "w")
    context.sample_rate, context.layout, context.format = rate, "mono", "fltp"
    context.bit_rate, context.time_base = BIT_RATE, Fraction(1, rate)
    floats = samples.astype(np.float32)[None] / 32768
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(floats), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    resampler = av.AudioResampler("fltp", "mono", rate, frame_size=1024)
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    for packet in [p for piece in [*pieces, None] for p in context.encode(piece)]:
        if packet.pts is not None and packet.pts >= 0:
            yield Coded(packet.pts, packet.duration or 1024, bytes(packet))
