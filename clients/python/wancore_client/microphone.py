"""Sound for a live session from a file, or from a program that writes raw samples to standard input."""

from __future__ import annotations

import sys
import threading
import wave
from collections.abc import Iterator
from io import RawIOBase
from itertools import chain
from pathlib import Path

from wancore_client.errors import WancoreClientError
from wancore_client.session import Session, pcm16

PIECE_S = 0.1  # of sound that is passed on at a time: what a listener would call at once


def pieces(source: str, rate: int) -> Iterator[bytes]:
    """16-bit mono PCM of `rate` samples a second. `-`: standard input holds just that. Raises
    `WancoreClientError`."""
    if source == "-":
        # Past its buffer, whose lock a thread that still reads would hold when the program ends.
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stream:
            yield from raw(stream, rate)
    elif fits(Path(source), rate):
        yield from wav(Path(source), rate)
    else:
        yield from decoded(Path(source), rate)


def raw(stream: RawIOBase, rate: int) -> Iterator[bytes]:
    """As it arrives, in whole samples."""
    left = b""
    while piece := stream.read(round(PIECE_S * rate) * 2):
        data = left + piece
        whole = len(data) - len(data) % 2
        left = data[whole:]
        yield data[:whole]


def fits(path: Path, rate: int) -> bool:
    """Whether it is a WAV file that holds just what is needed."""
    if not path.is_file():
        raise WancoreClientError(f"--audio: got {str(path)!r}; accepted: a file with sound, or - for raw PCM")
    try:
        with wave.open(str(path), "rb") as file:
            return (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
    except (wave.Error, EOFError):
        return False


def wav(path: Path, rate: int) -> Iterator[bytes]:
    with wave.open(str(path), "rb") as file:
        while data := file.readframes(round(PIECE_S * rate)):
            yield data


def decoded(path: Path, rate: int) -> Iterator[bytes]:
    """Any format, with PyAV."""
    try:
        import av
    except ImportError:
        raise WancoreClientError(
            f"--audio: {path.name} is not 16-bit mono WAV of {rate} Hz; others need `wancore-client[video]`"
        ) from None
    try:
        with av.open(str(path.absolute())) as container:
            stream = container.streams.best("audio")
            if not isinstance(stream, av.AudioStream):
                raise WancoreClientError(f"--audio: {path.name} has no sound")
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
            for frame in chain(container.decode(stream), (None,)):
                for piece in resampler.resample(frame):
                    yield pcm16(piece.to_ndarray()[0])
    except (av.FFmpegError, ValueError) as error:
        raise WancoreClientError(f"--audio: {path.name} cannot be decoded ({error})") from error


class Speaker:
    """Pushes sound into a session from a thread of its own, and keeps what was said for the file."""

    def __init__(self, session: Session, source: str) -> None:
        self.session, self.sound = session, pieces(source, session.sample_rate)
        self.said = bytearray()
        self.problem: Exception | None = None
        self.thread = threading.Thread(target=self.run, name="wancore-speaker", daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            for piece in self.sound:
                self.said += piece
                self.session.push(piece)
        except WancoreClientError as error:
            self.problem = error
        self.session.finish()
