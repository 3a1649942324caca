"""One viewer of one job: it reads the log and the spool at its own pace, and never slows the job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import google_crc32c
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from wancore_proto.v1 import frames_pb2, job_pb2, job_service_pb2

from wancore_server.clock import SECOND, duration, timestamp
from wancore_server.errors import ApiError, out_of_range
from wancore_server.frames.spool import Spool
from wancore_server.frames.tracks import VIDEO, Piece, Tracks
from wancore_server.jobs.live import LiveJob
from wancore_server.jobs.log import read_event
from wancore_server.jobs.states import event, result_event
from wancore_server.metrics import Metrics
from wancore_server.store import Block

T = TypeVar("T")
PART_BYTES = 2_800_000  # a message stays under 3 MiB
LATEST = job_service_pb2.DELIVERY_MODE_LATEST
RAW = frames_pb2.ENCODING_RAW_RGB8


@dataclass(frozen=True)
class Viewing:
    """What viewers share. `send` gives up after `stall_s` without a completed write."""

    spool: Spool
    tracks: Tracks
    metrics: Metrics
    heartbeat_s: float
    stall_s: float


class Watch:
    """Sends the stream of a job: header first, exactly one result last."""

    def __init__(
        self,
        live: LiveJob,
        view: job_service_pb2.View,
        cursor: job_service_pb2.Cursor | None,
        around: Viewing,
        write: Callable[[job_pb2.JobEvent], Awaitable[None]],
    ) -> None:
        self.live, self.around, self.write = live, around, write
        self.encoding = view.encoding or RAW
        self.latest = view.mode == LATEST
        self.with_frames = not view.without_frames
        self.attempt = live.attempt
        self.first_frame = 0  # frames before it are not sent
        self.after = 0  # nor what is stored up to here
        self.snapshot = cursor is None
        self.position = len(live.log.entries)
        if cursor is not None:
            self.go_to(cursor)
        self.seen_preview = live.preview_number - bool(live.preview)  # the last one is still news
        self.seen_queue: job_pb2.QueueUpdate | None = None
        self.init_sent = False
        self.last_sent = time.monotonic()
        self.skipped_from: int | None = None

    @property
    def behind(self) -> int:
        """Frames that are there and have not been sent."""
        if not self.with_frames or self.live.attempt != self.attempt:
            return 0
        rest = self.live.log.entries[self.position :]
        return sum(e.frames.frame_count for e in rest if isinstance(e, Block) and e.attempt == self.attempt)

    def go_to(self, cursor: job_service_pb2.Cursor) -> None:
        """Raises `CURSOR_INVALID`."""
        log, attempt = self.live.log, self.live.attempt
        if cursor.attempt > attempt:
            raise out_of_range("CURSOR_INVALID", f"there is no attempt {cursor.attempt}", 0, attempt)
        if cursor.attempt and cursor.attempt < attempt:
            self.position = log.start_of(attempt)
        elif cursor.WhichOneof("position") == "from_frame":
            self.go_to_frame(cursor.from_frame)
        else:
            if cursor.after_sequence > log.last_sequence:
                text = f"the job has {log.last_sequence} events so far"
                raise out_of_range("CURSOR_INVALID", text, 0, log.last_sequence)
            self.after = cursor.after_sequence
            # What an earlier attempt left is not mixed in; what led to this one is told from the start.
            newest = log.start_of(attempt) if attempt > 1 else 0
            self.position = max(log.after(cursor.after_sequence), newest)

    def go_to_frame(self, frame: int) -> None:
        log, attempt = self.live.log, self.live.attempt
        count = log.frames_of(attempt)
        total = count if self.live.final else self.live.info.format.frame_count
        if (frame > count and total and frame >= total) or (self.live.final and frame >= count):
            raise out_of_range("CURSOR_INVALID", f"the job has {total} frames", 0, max(0, total - 1))
        self.first_frame = frame
        position = log.block_of(attempt, frame)
        self.position = len(log.entries) if position is None else position

    async def run(self) -> None:
        """Until the result is sent. Raises `ApiError`; `asyncio.CancelledError` when the viewer goes."""
        await self.send_header()
        if self.snapshot:
            await self.send(event(self.attempt, state=job_pb2.StateChanged(state=self.live.state)))
            if self.live.final:
                await self.send(result_event(self.live.info))
                return
        while not await self.advance():
            await self.rest()

    async def advance(self) -> bool:
        """Sends all there is; whether the result was among it."""
        log = self.live.log
        while self.position < len(log.entries):
            if self.live.attempt > self.attempt:
                self.next_attempt()
                continue
            entry = log.entries[self.position]
            self.position += 1
            if isinstance(entry, Block):
                await self.send_block(entry)
            else:
                told = read_event(entry)
                if told.WhichOneof("event") == "header":
                    told.header.encoding = self.encoding
                    told.header.format.color_range = self.color_range
                if told.WhichOneof("event") == "result":
                    await self.end_skip(None)
                    await self.send(told)
                    return True
                await self.send(told)
        return False

    def next_attempt(self) -> None:
        """The frames of the one before are gone: on to the new one's first event."""
        self.attempt = self.live.attempt
        self.position = max(self.position, self.live.log.start_of(self.attempt))
        self.first_frame = self.after = 0
        self.init_sent, self.skipped_from = False, None

    async def rest(self) -> None:
        """Waits for news; says something now and then."""
        await self.send_passing()
        left = self.last_sent + self.around.heartbeat_s - time.monotonic()
        if left > 0 and await self.news(left):
            return
        await self.send_heartbeat()

    async def news(self, timeout: float) -> bool:
        live = self.live
        if self.position < len(live.log.entries) or live.preview_number != self.seen_preview:
            return True
        if (
            live.queue is not None
            and live.queue != self.seen_queue
            and live.state == job_pb2.Job.STATE_QUEUED
        ):
            return True
        return await live.news.wait(timeout)

    async def send_passing(self) -> None:
        """What is true at the moment and is not stored: previews and the place in the queue."""
        live = self.live
        if live.preview_number != self.seen_preview and self.with_frames:
            self.seen_preview = live.preview_number
            for picture in live.preview:
                await self.send(event(live.attempt, preview=picture))
        self.seen_preview = live.preview_number
        if (
            live.state == job_pb2.Job.STATE_QUEUED
            and live.queue is not None
            and live.queue != self.seen_queue
        ):
            self.seen_queue = live.queue
            await self.send(event(live.attempt, queue=live.queue))

    async def send_heartbeat(self) -> None:
        if time.monotonic() - self.last_sent >= self.around.heartbeat_s:
            await self.send(event(self.live.attempt, heartbeat=job_pb2.Heartbeat()))

    async def patiently(self, work: Awaitable[T]) -> T:
        """`work`, with heartbeats while it lasts."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                left = self.last_sent + self.around.heartbeat_s - time.monotonic()
                await asyncio.wait((task,), timeout=max(0.0, left))
                if not task.done():
                    await self.send_heartbeat()
            return await task
        finally:
            # Shared work goes on for the others; awaiting it is all that ends here.
            if not task.done():
                task.add_done_callback(lambda done: done.cancelled() or done.exception())

    @property
    def color_range(self) -> frames_pb2.ColorRange:
        limited = self.encoding in VIDEO
        return frames_pb2.COLOR_RANGE_LIMITED if limited else frames_pb2.COLOR_RANGE_FULL

    async def send_header(self) -> None:
        info = self.live.info
        header = frames_pb2.StreamHeader(
            job=f"jobs/{self.live.id}", attempt=info.attempt, encoding=self.encoding
        )
        if info.HasField("format") and self.live.log.start_of(info.attempt) < len(self.live.log.entries):
            header.format.CopyFrom(info.format)
            header.format.color_range = self.color_range
            header.seed = info.seed
        await self.send(event(info.attempt, header=header))

    async def send(self, message: job_pb2.JobEvent) -> None:
        try:
            async with asyncio.timeout(self.around.stall_s):
                await self.write(message)
        except TimeoutError:
            metadata = {"sequence": str(message.sequence), "attempt": str(message.attempt)}
            raise ApiError(
                code_pb2.RESOURCE_EXHAUSTED,
                "VIEWER_TOO_SLOW",
                "nothing was read for too long; the stream can be resumed",
                metadata,
            ) from None
        self.last_sent = time.monotonic()

    async def send_block(self, block: Block) -> None:
        frames = block.frames
        if not self.with_frames or frames.first_frame + frames.frame_count <= self.first_frame:
            return
        if self.latest and self.newer_block():
            if self.skipped_from is None:
                self.skipped_from = frames.first_frame
            return
        await self.end_skip(frames.first_frame)
        try:
            if self.encoding == RAW:
                await self.send_raw(block)
            else:
                await self.send_pieces(block)
        except (OSError, FileNotFoundError) as error:
            if self.live.attempt > self.attempt:
                return  # the next attempt has taken its place
            last = self.live.frame_count - 1
            raise out_of_range("FRAMES_EXPIRED", "the frames are no longer kept", 0, last) from error

    def newer_block(self) -> bool:
        rest = self.live.log.entries[self.position :]
        return any(isinstance(entry, Block) and entry.attempt == self.attempt for entry in rest)

    async def end_skip(self, frame: int | None) -> None:
        """Tells what was left out before `frame` (None: the end)."""
        if self.skipped_from is None:
            return
        until = self.live.frame_count if frame is None else frame
        skipped = job_pb2.FramesSkipped(first_index=self.skipped_from, count=until - self.skipped_from)
        self.around.metrics.skipped.inc(skipped.count)
        self.skipped_from = None
        await self.send(event(self.attempt, skipped=skipped))

    async def send_raw(self, block: Block) -> None:
        frames, path = block.frames, self.around.spool.path(self.live.id, block.attempt)
        for k in range(frames.frame_count):
            index = frames.first_frame + k
            if index < self.first_frame or block.sequence + k <= self.after:
                continue
            data = await self.around.spool.read(
                path, frames.offset + k * frames.frame_bytes, frames.frame_bytes
            )
            crc = int.from_bytes(frames.crcs[4 * k : 4 * k + 4], "little")
            await self.send_frame(block, index, data, crc)

    async def send_pieces(self, block: Block) -> None:
        pieces = await self.patiently(self.around.tracks.pieces(self.live, block, self.encoding))
        track = self.around.tracks.track(self.live.id, block.attempt, self.encoding)
        if self.encoding in VIDEO and not self.init_sent and track.init is not None:
            init = await self.around.spool.read(track.path, track.init.offset, track.init.size)
            codec = frames_pb2.CodecInit(encoding=self.encoding, data=init, codec=track.init.codec)
            await self.send(event(self.attempt, codec_init=codec))
            self.init_sent = True
        for piece in pieces:
            last = block.sequence + piece.first_frame + piece.frame_count - 1 - block.frames.first_frame
            if not piece.frame_count or last <= self.after:
                continue
            if piece.first_frame + piece.frame_count <= self.first_frame:
                continue
            data = await self.around.spool.read(track.path, piece.offset, piece.size)
            if self.encoding in VIDEO:
                await self.send_fragment(block, piece, data, last)
            else:
                await self.send_frame(block, piece.first_frame, data, piece.crc32c)

    async def send_frame(self, block: Block, index: int, data: bytes, crc: int) -> None:
        parts = parts_of(data)
        sequence = block.sequence + index - block.frames.first_frame
        for number, part in enumerate(parts):
            frame = frames_pb2.Frame(
                index=index, part=number, part_count=len(parts), pts=self.pts(index),
                block=block.frames.block,
                encoding=self.encoding, crc32c=crc if len(parts) == 1 else google_crc32c.value(part),
            )  # fmt: skip
            message = self.stored(block, sequence, frame=frame)
            message.frame.data = part  # `stored` copies what it holds, which costs 20 times as much
            await self.send(message)
        self.count(len(data))

    async def send_fragment(self, block: Block, piece: Piece, data: bytes, sequence: int) -> None:
        parts = parts_of(data)
        for number, part in enumerate(parts):
            fragment = frames_pb2.Fragment(
                first_index=piece.first_frame, frame_count=piece.frame_count, part=number,
                part_count=len(parts), pts=self.pts(piece.first_frame), block=block.frames.block,
                encoding=self.encoding, crc32c=google_crc32c.value(part),
            )  # fmt: skip
            message = self.stored(block, sequence, fragment=fragment)
            message.fragment.data = part
            await self.send(message)
        self.count(len(data))

    def stored(self, block: Block, sequence: int, **content: object) -> job_pb2.JobEvent:
        return job_pb2.JobEvent(
            sequence=sequence,
            attempt=block.attempt,
            time=timestamp(block.frames.time),
            **content,  # type: ignore[arg-type]
        )

    def count(self, size: int) -> None:
        name = frames_pb2.Encoding.Name(self.encoding).removeprefix("ENCODING_").lower()
        self.around.metrics.sent.labels(name).inc(size)

    def pts(self, index: int) -> Duration:
        rate = self.live.info.format.frame_rate
        return duration(round(index * rate.denominator * SECOND / rate.numerator) / SECOND)


def parts_of(data: bytes) -> list[bytes]:
    """Pieces of at most `PART_BYTES`, nearly equal."""
    if len(data) <= PART_BYTES:
        return [data]
    count = -(-len(data) // PART_BYTES)
    size = -(-len(data) // count)
    return [data[i : i + size] for i in range(0, len(data), size)]
