"""Sound, written again: floats, the mean of the channels, at the file's own rate.

What `wancore.media.audio.read_audio` makes of the copy is what it makes of the file itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from wancore.media.audio import OPTIONS, Samples, mono

NAMES = (
    b"fLaC", b"OggS", b"ID3", b"FORM", b"caff", b".snd", b"#!AMR", b"wvPK", b"MAC ", b"TTA1", b"FLV",
    b"riff", b"\x30\x26\xb2\x75", b"\x0b\x77",  # W64, ASF, AC-3
)  # fmt: skip


class NoSound(Exception):
    """There is none, or it holds what is no number; the text says which."""


def is_sound(start: bytes) -> bool:
    """By its first bytes; those of MPEG audio and AAC are eleven set bits."""
    if start.startswith(NAMES) or (start[:4] == b"RIFF" and start[8:12] == b"WAVE"):
        return True
    return len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0 and start[1] != 0xFE


class SoundCopy:
    """Copies the sound of `path` into `target`, as far as asked; without sound it does nothing.

    Methods raise `wancore.media.audio.Unsuitable` for more than an hour, `NoSound`, or what FFmpeg raises.
    """

    def __init__(self, path: Path, target: av.container.OutputContainer) -> None:
        self.target, self.count, self.rate = target, 0, 0
        self.open = ExitStack()
        source = self.open.enter_context(av.open(str(path.absolute()), options=OPTIONS))
        stream = source.streams.best("audio")
        self.parts: Iterator[Samples] = iter(())
        if isinstance(stream, av.AudioStream):
            self.rate = stream.rate
            self.parts = mono(source.decode(stream), stream)
            self.out: Any = target.add_stream("pcm_f32le", rate=self.rate, layout="mono")

    def until(self, seconds: Fraction) -> None:
        """Everything before `seconds`, and little more."""
        while self.count < seconds * self.rate and (part := next(self.parts, None)) is not None:
            self.write(part)

    def rest(self) -> None:
        for part in self.parts:
            self.write(part)
        if self.rate:
            self.target.mux(self.out.encode(None))
        self.open.close()

    def write(self, part: Samples) -> None:
        if not np.isfinite(part).all():
            raise NoSound("this file has samples that are no numbers")
        if not len(part):
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part[None]), format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = self.rate, Fraction(1, self.rate), self.count
        self.target.mux(self.out.encode(frame))
        self.count += len(part)


def copy_sound(path: Path, clean: Path) -> None:
    """A file's sound as WAV. Raises `NoSound` where there is none."""
    with av.open(str(clean.absolute()), "w", format="wav") as target:
        copy = SoundCopy(path, target)
        if not copy.rate:
            raise NoSound("this file has neither pictures nor sound")
        copy.rest()
        if not copy.count:
            raise NoSound("this file has no sound in it")
