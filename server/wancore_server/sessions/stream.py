"""One stream that has joined a session: takes what the client says, sends what the session makes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import google_crc32c
from google.rpc import code_pb2
from wancore_proto.v1 import frames_pb2, job_pb2
from wancore_proto.v1alpha import session_service_pb2 as pb

from wancore_server.clock import SECOND, duration
from wancore_server.errors import ApiError, invalid_field, out_of_range
from wancore_server.frames.spool import Spool
from wancore_server.frames.tracks import VIDEO
from wancore_server.jobs.watch import parts_of
from wancore_server.sessions.encoding import Encodings
from wancore_server.sessions.listen import Listener
from wancore_server.sessions.session import HeldBlock, LiveSession
from wancore_server.settings import ServerSettings

RAW = frames_pb2.ENCODING_RAW_RGB8
Write = Callable[[pb.LiveEvent], Awaitable[None]]


class LiveStream:
    """`joined` first, exactly one `end` last, or an `ApiError`."""

    def __init__(
        self, session: LiveSession, header: pb.LiveHeader, settings: ServerSettings, spool: Spool,
        encodings: Encodings, write: Write,
    ) -> None:  # fmt: skip
        if header.encoding not in frames_pb2.Encoding.values():
            raise invalid_field("header.encoding", "is not an encoding that this server knows")
        self.session, self.settings, self.spool, self.encodings = session, settings, spool, encodings
        self.write, self.encoding = write, header.encoding or RAW
        self.next_block = header.next_block
        self.check_position()
        self.init_sent = False
        self.last_sent = time.monotonic()
        self.audio_told = -1
        self.stopped = False

    def check_position(self) -> None:
        """Raises `OUT_OF_RANGE` for a block that is gone, or that nobody has made yet."""
        made, held = self.session.info.block_count, self.session.blocks
        first = held[0].number if held else made
        if self.next_block > made:
            raise out_of_range("CURSOR_INVALID", f"the session has made {made} blocks", 0, made)
        if self.next_block < first:
            raise out_of_range("FRAMES_EXPIRED", "these blocks are no longer kept", first, made)

    async def run(self, requests: AsyncIterator[pb.LiveRequest]) -> None:
        session = self.session
        session.viewer, session.joined_once = self, True
        session.last_word = time.monotonic()
        session.news.tell()  # whoever was here before is told to go
        listener = Listener(session, self.settings, self)
        listening = asyncio.ensure_future(listener.run(requests))
        sending = asyncio.ensure_future(self.send_all())
        try:
            await asyncio.wait((listening, sending), return_when=asyncio.FIRST_COMPLETED)
            if listening.done() and listening.exception() is not None:
                # A write must not be under way when the call is ended with a status.
                self.stopped = True
                session.news.tell()
                await asyncio.wait((sending,), timeout=self.settings.session_stall_s)
                listening.result()
            await sending  # the client may only have stopped talking
        finally:
            for task in (listening, sending):
                task.cancel()
            with contextlib.suppress(BaseException):
                await asyncio.gather(listening, sending, return_exceptions=True)
            if session.viewer is self:
                session.viewer, session.alone_since = None, time.monotonic()

    async def send_all(self) -> None:
        session = self.session
        joined = pb.Joined(
            session=session.info, next_block=self.next_block, audio=session.received(),
            audio_limit=int(self.settings.session_audio_s * session.info.sample_rate),
        )  # fmt: skip
        if session.acknowledged is not None:
            joined.acknowledged_block = session.acknowledged
        await self.send(pb.LiveEvent(joined=joined))
        while not self.stopped:
            self.check_alone()
            await self.send_told()
            await self.send_audio()
            block = session.block(self.next_block)
            if block is not None:
                await self.send_block(block)
                self.next_block += 1
            elif session.ended:
                await self.send_end()
                return
            else:
                await self.rest()

    def check_alone(self) -> None:
        if self.session.viewer is not self:
            text = "another stream has joined this session"
            raise ApiError(code_pb2.ABORTED, "SESSION_TAKEN_OVER", text)
        if self.next_block < self.session.info.block_count and not self.session.block(self.next_block):
            raise out_of_range("FRAMES_EXPIRED", "this block is no longer kept", self.next_block + 1, 0)

    async def send_told(self) -> None:
        told = self.session.told
        while told:
            event = told[0]
            await self.send(event)
            if told and told[0] is event:
                told.popleft()

    async def send_audio(self) -> None:
        """Now and then: each second of sound, so that the client can forget what has arrived."""
        total = sum(sound.received + sound.used for sound in self.session.sounds.values())
        if total - self.audio_told >= self.session.info.sample_rate or self.audio_told < 0:
            self.audio_told = total
            for received in self.session.received():
                await self.send(pb.LiveEvent(audio=received))

    async def send_end(self) -> None:
        info = self.session.info
        end = pb.SessionEnd(block_count=info.block_count, frame_count=info.frame_count)
        if info.HasField("error"):
            end.error.CopyFrom(info.error)
        await self.send(pb.LiveEvent(end=end))
        if self.session.run is None:
            self.session.drop_files()

    async def rest(self) -> None:
        left = self.last_sent + self.settings.heartbeat_s - time.monotonic()
        if self.session.told or (left > 0 and await self.session.news.wait(left)):
            return
        await self.send(pb.LiveEvent(heartbeat=job_pb2.Heartbeat()))

    async def send(self, event: pb.LiveEvent) -> None:
        if self.stopped:
            raise asyncio.CancelledError
        try:
            async with asyncio.timeout(self.settings.session_stall_s):
                await self.write(event)
        except TimeoutError:
            text = "nothing was read for too long; the session can be joined again"
            raise ApiError(code_pb2.RESOURCE_EXHAUSTED, "VIEWER_TOO_SLOW", text) from None
        self.last_sent = time.monotonic()

    async def send_block(self, block: HeldBlock) -> None:
        start = pb.BlockStart(
            block=block.number, first_frame=block.first_frame, frame_count=block.frame_count
        )
        await self.send(pb.LiveEvent(block=start))
        if self.encoding == RAW:
            await self.send_raw(block)
        else:
            await self.send_encoded(block)
        await self.send(pb.LiveEvent(block_end=pb.BlockEnd(block=block.number)))

    async def send_raw(self, block: HeldBlock) -> None:
        video = self.session.info.format
        size = video.width * video.height * 3
        for k in range(block.frame_count):
            data = await self.spool.read(block.path, k * size, size)
            await self.send_frame(block, block.first_frame + k, data)

    async def send_encoded(self, block: HeldBlock) -> None:
        track = await self.encodings.of(self.session, block, self.encoding)
        if self.encoding in VIDEO and not self.init_sent:
            init = frames_pb2.CodecInit(encoding=self.encoding, data=track.init, codec=track.codec)
            await self.send(pb.LiveEvent(codec_init=init))
            self.init_sent = True
        for first, count, offset, size in track.pieces:
            data = await self.spool.read(track.path, offset, size)
            if self.encoding in VIDEO:
                await self.send_fragment(block, first, count, data)
            else:
                await self.send_frame(block, first, data)

    async def send_frame(self, block: HeldBlock, index: int, data: bytes) -> None:
        parts = parts_of(data)
        for number, part in enumerate(parts):
            frame = frames_pb2.Frame(
                index=index, part=number, part_count=len(parts), pts=duration(self.seconds(index)),
                block=block.number, encoding=self.encoding, crc32c=google_crc32c.value(part),
            )  # fmt: skip
            event = pb.LiveEvent(frame=frame)
            event.frame.data = part
            await self.send(event)

    async def send_fragment(self, block: HeldBlock, first: int, count: int, data: bytes) -> None:
        parts = parts_of(data)
        for number, part in enumerate(parts):
            fragment = frames_pb2.Fragment(
                first_index=first, frame_count=count, part=number, part_count=len(parts),
                pts=duration(self.seconds(first)), block=block.number, encoding=self.encoding,
                crc32c=google_crc32c.value(part),
            )  # fmt: skip
            event = pb.LiveEvent(fragment=fragment)
            event.fragment.data = part
            await self.send(event)

    def seconds(self, index: int) -> float:
        rate = self.session.info.format.frame_rate
        return round(index * rate.denominator * SECOND / rate.numerator) / SECOND
