"""Tracks: the frames of an attempt in another encoding, made once and shared by all viewers.

A track is a file of its pieces one after another (so an H.264 track is a video file as it stands) and
an index beside it. Blocks are encoded in order, by encoder processes, when a viewer or the job's
delivery asks for them.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from google.rpc import code_pb2
from wancore_proto.v1 import frames_pb2

from wancore_server import failpoints
from wancore_server.encoder.pool import EncoderPool, EncodingFailed
from wancore_server.errors import ApiError
from wancore_server.frames.spool import Spool
from wancore_server.jobs.live import LiveJob
from wancore_server.jobs.log import JobLog
from wancore_server.store import Block, Frames
from wancore_server.wire import wire_pb2

Encoding = frames_pb2.Encoding
SUFFIXES = {
    frames_pb2.ENCODING_PNG: "png",
    frames_pb2.ENCODING_JPEG: "jpeg",
    frames_pb2.ENCODING_H264_FMP4: "mp4",
    frames_pb2.ENCODING_H264_ANNEX_B: "h264",
}
VIDEO = frozenset({frames_pb2.ENCODING_H264_FMP4, frames_pb2.ENCODING_H264_ANNEX_B})
RECORD = struct.Struct("<IIIQQI16s")  # block, first frame, frames, offset, size, CRC-32C, codec


@dataclass(frozen=True)
class Piece:
    """Part of a track's file: one picture, one fragment, or the codec's initialisation (no frames)."""

    block: int
    first_frame: int
    frame_count: int
    offset: int
    size: int
    crc32c: int
    codec: str

    def packed(self) -> bytes:
        return RECORD.pack(
            self.block, self.first_frame, self.frame_count, self.offset, self.size, self.crc32c,
            self.codec.encode(),
        )  # fmt: skip


@dataclass
class Track:
    """One encoding of one attempt. `blocks`: pieces of each block that is done."""

    path: Path
    encoding: Encoding
    blocks: list[list[Piece]] = field(default_factory=list)
    init: Piece | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def index_path(self) -> Path:
        return self.path.with_name(self.path.name + ".index")

    @property
    def size(self) -> int:
        pieces = self.blocks[-1] if self.blocks else []
        return pieces[-1].offset + pieces[-1].size if pieces else 0

    def load(self) -> None:
        """What an earlier gateway left; a torn end is forgotten, and made again."""
        if not self.index_path.exists() or not self.path.exists():
            return
        size = self.path.stat().st_size
        data = self.index_path.read_bytes()
        whole = len(data) - len(data) % RECORD.size
        for values in RECORD.iter_unpack(data[:whole]):
            block, first, count, offset, length, crc, codec = values
            piece = Piece(block, first, count, offset, length, crc, codec.rstrip(b"\0").decode())
            if piece.offset + piece.size > size:
                break
            self.take(piece)
        if self.blocks:
            self.blocks.pop()  # it may lack pieces: made again
        self.index_path.write_bytes(b"".join(p.packed() for p in self.pieces))

    @property
    def pieces(self) -> list[Piece]:
        return [piece for block in self.blocks for piece in block]

    def take(self, piece: Piece) -> None:
        while len(self.blocks) <= piece.block:
            self.blocks.append([])
        self.blocks[piece.block].append(piece)
        if not piece.frame_count:
            self.init = piece


class Tracks:
    """All tracks in use; idle ones are loaded again from their files.

    `comment(job)`: what the metadata of its video says.
    """

    def __init__(
        self, spool: Spool, encoders: EncoderPool, comment: Callable[[LiveJob], str] = lambda live: ""
    ) -> None:
        self.spool, self.encoders, self.comment = spool, encoders, comment
        self.open: dict[tuple[str, int, Encoding], Track] = {}

    def track(self, job: str, attempt: int, encoding: Encoding) -> Track:
        key = (job, attempt, encoding)
        if key not in self.open:
            path = self.spool.path(job, attempt).with_suffix(f".{SUFFIXES[encoding]}")
            self.open[key] = Track(path, encoding)
            self.open[key].load()
        return self.open[key]

    def forget(self, job: str) -> None:
        for key in [key for key in self.open if key[0] == job]:
            del self.open[key]

    async def pieces(self, live: LiveJob, block: Block, encoding: Encoding) -> Sequence[Piece]:
        """The pieces of a block, after making them and those of the blocks before.

        Raises `ApiError`: `ENCODING_FAILED`, or `FRAMES_EXPIRED` by the caller where the files are gone.
        """
        track = self.track(live.id, block.attempt, encoding)
        number = block.frames.block
        if number >= len(track.blocks):
            async with track.lock:
                for following in blocks_from(live.log, block.attempt, len(track.blocks), number):
                    await self.encode(live, block.attempt, track, following)
        return track.blocks[number]

    async def encode(self, live: LiveJob, attempt: int, track: Track, frames: Frames) -> None:
        shape, sound = live.info.format, self.spool.sound(live.id, attempt)
        task = wire_pb2.EncodeBlock(
            encoding=track.encoding,
            spool_path=str(self.spool.path(live.id, attempt)),
            offset_bytes=frames.offset,
            first_frame=frames.first_frame,
            frame_count=frames.frame_count,
            width=shape.width,
            height=shape.height,
            frame_rate=shape.frame_rate,
            track_path=str(track.path),
            track_bytes=track.size,
            fragment=frames.block,
            sound_path=str(sound) if sound.exists() else "",
            comment=self.comment(live),
        )
        started = time.monotonic()
        try:
            done = await self.encoders.encode(task)
        except EncodingFailed as error:
            raise ApiError(code_pb2.INTERNAL, "ENCODING_FAILED", str(error)) from error
        pieces = [
            Piece(frames.block, p.first_frame, p.frame_count, p.offset_bytes, p.size_bytes, p.crc32c, p.codec)
            for p in done.pieces
        ]
        if live.trace is not None:
            name = frames_pb2.Encoding.Name(track.encoding).removeprefix("ENCODING_").lower()
            seconds = time.monotonic() - started
            live.trace.span("encode", seconds, job=live.id, attempt=attempt, encoding=name)
        failpoints.reach("track-before-index")
        await self.spool.call(append, track.index_path, b"".join(p.packed() for p in pieces))
        for piece in pieces:
            track.take(piece)

    async def complete(self, live: LiveJob, attempt: int, encoding: Encoding) -> int:
        """Finishes a track of an attempt whose frames are all there; its size in bytes."""
        if encoding == frames_pb2.ENCODING_RAW_RGB8:
            return self.spool.path(live.id, attempt).stat().st_size
        last = max(
            (e for e in live.log.entries if isinstance(e, Block) and e.attempt == attempt),
            key=lambda e: e.frames.block,
        )
        await self.pieces(live, last, encoding)
        return self.track(live.id, attempt, encoding).size

    def path(self, job: str, attempt: int, encoding: Encoding) -> Path:
        """The file of a finished track; of no encoding: the sound."""
        if encoding == frames_pb2.ENCODING_UNSPECIFIED:
            return self.spool.sound(job, attempt)
        if encoding == frames_pb2.ENCODING_RAW_RGB8:
            return self.spool.path(job, attempt)
        return self.track(job, attempt, encoding).path


def blocks_from(log: JobLog, attempt: int, first: int, last: int) -> list[Frames]:
    """The blocks numbered `first` to `last` of an attempt, in order."""
    found = [e.frames for e in log.entries[log.start_of(attempt) :] if isinstance(e, Block)]
    return [frames for frames in found if first <= frames.block <= last]


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
