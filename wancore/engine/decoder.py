"""Latents to frames, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wancore.engine.tools import VideoCodec
from wancore.plugins.family import DecodeSpan, Window


def decode(vae: VideoCodec, latent: Tensor, spans: Sequence[DecodeSpan]) -> Iterator[Tensor]:
    """Frames [3, n, H, W] in [-1, 1] of the latent frames of the spans, in order, as soon as they exist."""
    stream = vae.frame_stream()
    for span in spans:
        if span.fresh:
            stream = vae.frame_stream()
        drop = span.drop
        for frames in stream.steps(latent[:, span.start : span.stop]):
            kept = frames[:, drop:]
            drop = max(0, drop - frames.shape[1])
            if kept.shape[1]:
                yield kept


def begun_again(chunks: Callable[[], Iterable[Chunk]], make_room: Callable[[], bool]) -> Iterator[Chunk]:
    """The chunks; once more from the beginning, without those that are out, if memory runs out and
    `make_room` made some."""
    done = 0
    for last in (False, True):
        try:
            for i, chunk in enumerate(chunks()):
                if i >= done:
                    done += 1
                    yield chunk
            return
        except torch.OutOfMemoryError:
            if last:
                raise
        if not make_room():
            break
    raise torch.OutOfMemoryError("memory ran out while frames were decoded")


@dataclass(frozen=True)
class Chunk:
    """Frames [3, n, H, W] of a window; those of `start` to `stop` are new and wanted."""

    frames: Tensor
    start: int
    stop: int

    @property
    def fresh(self) -> Tensor:
        return self.frames[:, self.start : self.stop]

    def finished(self, finish: Callable[[Tensor], Tensor]) -> Chunk:
        return replace(self, frames=finish(self.frames))


def windowed(window: Window, frames: Iterable[Tensor]) -> Iterator[Chunk]:
    """A window's frames, as they come; the last window ends with its last wanted frame."""
    position = 0
    for chunk in frames:
        n = chunk.shape[1]
        stop = min(n, max(0, window.frames - window.spare - position)) if window.spare else n
        yield Chunk(chunk, min(n, max(0, window.known - position)), stop)
        position += n
        if window.last and stop < n:
            return
