"""Sound that goes with a video."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from wancore.errors import InvalidInput
from wancore.media.audio import Samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet

CODEC: Final = "aac"


@dataclass(frozen=True)
class Sound:
    """`samples` float32 [S], mono, full scale 1; `rate` of them a second."""

    samples: Samples
    rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32 or self.rate <= 0:
            given = f"{self.samples.dtype}{list(self.samples.shape)} at {self.rate} a second"
            raise InvalidInput("sound", given, "float32 samples [S], mono")


class SoundTrack:
    """The audio stream of a file that is being written: AAC, kept as far as the pictures are."""

    def __init__(self, container: OutputContainer, sound: Sound) -> None:
        self.sound = sound
        self.stream = container.add_stream(CODEC, rate=sound.rate, layout="mono")
        self.written = 0

    def until(self, seconds: Fraction) -> Iterator[Packet[AudioStream]]:
        """Packets of the sound up to `seconds` from the beginning, or its end."""
        import av

        stop = min(len(self.sound.samples), round(seconds * self.sound.rate))
        if stop <= self.written:
            return
        part = np.clip(self.sound.samples[self.written : stop], -1, 1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part[None]), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = self.sound.rate, Fraction(1, self.sound.rate)
        frame.pts = self.written
        self.written = stop
        yield from self.stream.encode(frame)

    def rest(self) -> Iterator[Packet[AudioStream]]:
        """Packets that the encoder still holds."""
        yield from self.stream.encode(None)
