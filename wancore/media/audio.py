"""Sound from files, with PyAV (FFmpeg) and soxr."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wancore.errors import InvalidInput

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream

SPEECH_RATE = 16_000  # samples per second that speech encoders read
MAX_SECONDS = 3600
ACCEPTED = (
    "an audio or video file with sound (WAV, MP3, FLAC, Ogg, Opus, AAC, MP4, MOV, WebM, Matroska, AVI …)"
    f" of at most {MAX_SECONDS // 60} minutes"
)

#: A file must not make FFmpeg read others: no playlists, no network.
OPTIONS = {
    "format_whitelist": (
        "wav,w64,aiff,au,caf,mp3,flac,ogg,aac,ac3,eac3,dts,amr,wv,ape,tta,asf,flv,"
        "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg"
    ),
    "protocol_whitelist": "file",
}

Samples = NDArray[np.float32]


def read_audio(path: Path | str, rate: int = SPEECH_RATE, field: str = "audio") -> Samples:
    """A file's (best) audio stream as float32 samples [S], mono, `rate` per second, full scale 1.

    Channels are averaged, then resampled (soxr, high quality); S is the number of samples in the file
    times the ratio of the rates, rounded up. Raises `InvalidInput` for `field`, naming the file, if it is
    missing, has no sound, is damaged or longer than an hour.
    """
    import av

    if not Path(path).is_file():
        raise refused(field, path, "there is no such file")
    try:
        # Absolute, so that a name with a colon is a file and not a protocol.
        with av.open(str(Path(path).absolute()), options=OPTIONS) as container:
            stream = container.streams.best("audio")
            if not isinstance(stream, av.AudioStream):
                raise refused(field, path, "this file has no audio stream")
            samples = resampled(mono(container.decode(stream), stream), stream.rate, rate)
    except Unsuitable as error:
        raise refused(field, path, str(error)) from None
    except (av.FFmpegError, UnicodeError) as error:
        raise refused(field, path, f"this file cannot be decoded ({error})") from error
    if not len(samples):
        raise refused(field, path, "this file has no sound in it")
    if not np.isfinite(samples).all():
        raise refused(field, path, "this file has samples that are no numbers")
    return samples


class Unsuitable(Exception):
    """Sound that can be decoded and is not taken; the text says why."""


def mono(frames: Iterator[AudioFrame], stream: AudioStream) -> Iterator[Samples]:
    """Stretches of the mean of all channels, at the stream's own rate."""
    from av import AudioResampler

    converter = AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    most, count = MAX_SECONDS * stream.rate, 0
    for frame in frames:
        for converted in converter.resample(frame):
            planes: Any = converted.to_ndarray()
            count += planes.shape[1]
            if count > most:
                raise Unsuitable("this one is longer")
            yield planes.mean(axis=0, dtype=np.float32)


def resampled(parts: Iterable[Samples], given: int, rate: int) -> Samples:
    """`parts` at `given` samples per second, joined, at `rate`; only the result is held in memory."""
    import soxr

    if given == rate:
        return joined(list(parts))
    stream = soxr.ResampleStream(given, rate, 1, dtype="float32", quality="HQ")
    made, count = [], 0
    for part in parts:
        count += len(part)
        made.append(stream.resample_chunk(part))
    made.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    length = math.ceil(count * rate / given)
    samples = joined(made)[:length]
    return np.pad(samples, (0, length - len(samples)))


def joined(parts: list[Samples]) -> Samples:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def refused(field: str, path: Path | str, problem: str) -> InvalidInput:
    return InvalidInput(field, str(path), f"{ACCEPTED}; {problem}")
