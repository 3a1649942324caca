"""A live session: sound goes in while it is spoken, frames come out block by block."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import NDArray
from wancore_proto.v1 import frames_pb2, job_pb2
from wancore_proto.v1alpha import session_service_pb2 as pb
from wancore_proto.v1alpha import session_service_pb2_grpc

from wancore_client.connection import Connection
from wancore_client.errors import KINDS, ApiError, ConnectionLost, FrameDamaged, SessionEnded, api_error
from wancore_client.frames import NAMES, Assembly, Fragment, Frame
from wancore_client.outbox import Outbox
from wancore_client.stream import BROKEN, FIRST_WAIT_S, MOST_WAIT_S

AHEAD = 8  # events read before they are asked for
RESUMABLE = {"VIEWER_TOO_SLOW", "TOO_MANY_CALLS"}


class Session:
    """Made by `Client.session`. `push` may be called from one thread while another iterates.

    Iterate once over `frames()`, or over the session for H.264 fragments. A block counts as shown, and gives
    the server leave for another, when the frame after it is asked for; with `acknowledge=False` that is
    left to `shown`. A connection that breaks is joined again. `format`, `seed`, `block`, `warnings` and
    `controls` (id -> the block in which it took effect, or its error) are up to date after each frame.
    """

    def __init__(
        self, connection: Connection, streams: grpc.Channel, session: pb.Session,
        encoding: frames_pb2.Encoding, acknowledge: bool, end_session: Callable[[str], Any],
    ) -> None:  # fmt: skip
        self.connection, self.info, self.encoding = connection, session, encoding
        self.stub = session_service_pb2_grpc.SessionServiceStub(streams)
        self.acknowledge, self.end_session = acknowledge, end_session
        self.outbox = Outbox(list(session.live_inputs), session.sample_rate)
        self.format = session.format
        self.seed = session.seed
        self.block = -1
        self.next_block = 0
        self.reconnects = 0
        self.stage = job_pb2.StageProgress()
        self.warnings: list[job_pb2.Warning] = []
        self.controls: dict[str, int | ApiError] = {}
        self.result: pb.SessionEnd | None = None
        self.init = frames_pb2.CodecInit()
        self.assembly = Assembly()
        self.call: Any = None
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def header(self) -> frames_pb2.StreamHeader:
        """What a writer of frames needs to know, as for a job."""
        return frames_pb2.StreamHeader(
            job=self.name, encoding=self.encoding, format=self.format, seed=self.seed
        )

    @property
    def sample_rate(self) -> int:
        """Samples per second of what `push` takes."""
        return self.info.sample_rate

    def samples(self, frame: Frame | Fragment) -> range:
        """Numbers of the pushed samples that play while a frame, or those of a fragment, are seen.

        The first sample of every input is heard with the first frame.
        """
        rate = self.format.frame_rate
        each = Fraction(rate.denominator * self.sample_rate, rate.numerator)
        first, count = (
            (frame.index, 1) if isinstance(frame, Frame) else (frame.first_index, frame.frame_count)
        )
        return range(round(first * each), round((first + count) * each))

    def push(self, sound: bytes | NDArray[Any], role: str = "") -> None:
        """More sound, mono: 16-bit PCM (bytes or int16), or floats of full scale 1. `role`: which input.

        Waits while the server has more than a minute that it has not used. Raises `WancoreClientError` after
        `finish`.
        """
        self.outbox.push(pcm16(sound), role)

    def finish(self, role: str = "") -> None:
        """No more sound (of `role`): the session ends when all of it is used up."""
        self.outbox.end(role)

    def steer(self, prompt: str | None = None, negative_prompt: str | None = None) -> str:
        """Other words from the next block on; the key of its answer in `controls`."""
        change = pb.PromptChange()
        if prompt is not None:
            change.prompt = prompt
        if negative_prompt is not None:
            change.negative_prompt = negative_prompt
        return self.control(pb.Control(prompt=change))

    def pause(self) -> str:
        """No further block begins until `resume`."""
        return self.control(pb.Control(pause=pb.Pause()))

    def resume(self) -> str:
        return self.control(pb.Control(resume=pb.Resume()))

    def control(self, control: pb.Control) -> str:
        control.id = control.id or uuid.uuid4().hex
        if self.block >= 0 and not control.HasField("displayed_block"):
            control.displayed_block = self.block
        self.outbox.say(pb.LiveRequest(control=control))
        return control.id

    def shown(self, block: int) -> None:
        """This block and those before it were shown."""
        self.outbox.say(pb.LiveRequest(ack=pb.BlockAck(block=block)))

    def frames(self) -> Iterator[Frame]:
        """Frames as their block is complete, to the end of the sound. Raises `SessionEnded`."""
        for whole in self:
            if isinstance(whole, Frame):
                yield whole

    def __iter__(self) -> Iterator[Frame | Fragment]:
        shown = -1
        try:
            for event in self.events():
                whole = self.take(event)
                if whole is not None:
                    yield whole
                # Only when the frame after the block is asked for is the block a thing of the past.
                if event.WhichOneof("event") == "block_end" and self.acknowledge:
                    shown = max(shown, event.block_end.block)
                    self.shown(shown)
        finally:
            self.leave()
        if self.result is not None and self.result.HasField("error"):
            raise SessionEnded(self.result.error)

    def events(self) -> Iterator[pb.LiveEvent]:
        """Every event of the session, joined again where the stream breaks."""
        since, wait = time.monotonic(), FIRST_WAIT_S
        while not self.is_closed():
            problem: Exception | None = None
            for item in self.joined():
                if isinstance(item, Exception):
                    problem = item
                    break
                since, wait = time.monotonic(), FIRST_WAIT_S
                yield item
                if item.WhichOneof("event") == "end":
                    return
            if self.is_closed():
                return
            if isinstance(problem, ApiError):
                raise problem
            if time.monotonic() - since > self.connection.patience_s:
                raise ConnectionLost(f"the session could not be joined again ({problem})") from problem
            self.reconnects += 1
            time.sleep(wait)
            wait = min(2 * wait, MOST_WAIT_S)

    def joined(self) -> Iterator[pb.LiveEvent | Exception]:
        """One stream to its end; last the reason."""
        header = pb.LiveHeader(session=self.name, encoding=self.encoding, next_block=self.next_block)
        header.client_time.GetCurrentTime()
        self.init = frames_pb2.CodecInit()
        sending = self.outbox.joining(header)
        items: queue.Queue[pb.LiveEvent | Exception | None] = queue.Queue(AHEAD)
        stopped = threading.Event()
        self.call = call = self.stub.Live(sending, metadata=self.connection.metadata)

        def put(item: pb.LiveEvent | Exception | None) -> None:
            while not stopped.is_set():
                try:
                    items.put(item, timeout=0.5)
                    return
                except queue.Full:
                    continue

        def read() -> None:
            try:
                for event in call:
                    self.heard(event)
                    put(event)
                put(None)
            except grpc.RpcError as error:
                put(reason(error))

        threading.Thread(target=read, name="wancore-session", daemon=True).start()
        try:
            while True:
                try:
                    item = items.get(timeout=self.connection.silence_s)
                except queue.Empty:
                    yield ConnectionLost(f"silent for {self.connection.silence_s:g} s")
                    return
                if item is None:
                    yield ConnectionLost("the stream ended without its last word")
                    return
                yield item
                if isinstance(item, Exception):
                    return
        finally:
            stopped.set()
            self.outbox.left()
            call.cancel()

    def heard(self, event: pb.LiveEvent) -> None:
        """On the reading thread: what lets the sound go on, however slowly frames are taken."""
        kind = event.WhichOneof("event")
        if kind == "joined":
            self.outbox.joined(event.joined)
        elif kind == "audio":
            self.outbox.received(event.audio)

    def take(self, event: pb.LiveEvent) -> Frame | Fragment | None:
        """Takes an event in; the frame or fragment that it completes."""
        kind = event.WhichOneof("event")
        if kind == "frame":
            return self.frame(event.frame)
        if kind == "fragment":
            return self.fragment(event.fragment)
        if kind == "joined":
            self.info = event.joined.session
            if self.info.HasField("format"):
                self.format, self.seed = self.info.format, self.info.seed
        elif kind == "settled":
            self.format, self.seed = event.settled.format, event.settled.seed
        elif kind == "stage":
            self.stage = event.stage
        elif kind == "block":
            self.block = event.block.block
        elif kind == "block_end":
            self.next_block = event.block_end.block + 1
        elif kind == "codec_init":
            self.init = event.codec_init
        elif kind == "control":
            told = event.control
            self.controls[told.id] = (
                KINDS.get(told.error.code, ApiError)(told.error) if told.HasField("error") else told.block
            )
        elif kind == "warning":
            self.warnings.append(event.warning)
        elif kind == "end":
            self.result = event.end
        return None

    def frame(self, part: frames_pb2.Frame) -> Frame | None:
        data = self.assembly.add(part.block, part)
        if data is None:
            return None
        width, height = self.format.width, self.format.height
        if part.encoding == frames_pb2.ENCODING_RAW_RGB8 and len(data) != width * height * 3:
            raise FrameDamaged(f"frame {part.index} has {len(data)} bytes, not {width * height * 3}")
        return Frame(part.index, part.pts.ToNanoseconds() / 1e9, width, height, NAMES[part.encoding], data)

    def fragment(self, part: frames_pb2.Fragment) -> Fragment | None:
        data = self.assembly.add(part.block, part)
        return None if data is None else Fragment.of(part, self.init, data)

    def is_closed(self) -> bool:
        """Asked again and again, since another thread may close it."""
        return self.closed

    def leave(self) -> None:
        """Leaves the stream; the session waits for who joins again."""
        self.closed = True
        self.outbox.close()
        if self.call is not None:
            self.call.cancel()

    def close(self) -> None:
        """Ends the session, unless it has ended."""
        self.leave()
        if self.result is None:
            self.end_session(self.name)


def reason(error: grpc.RpcError) -> Exception:
    """`ConnectionLost` for what can be tried again, else the server's error."""
    told = api_error(error)
    if told.reason in RESUMABLE or (not told.reason and error.code() in BROKEN):
        return ConnectionLost(str(told))
    return told


def pcm16(sound: bytes | NDArray[Any]) -> bytes:
    """Mono samples as signed 16 bit, little endian."""
    if isinstance(sound, bytes | bytearray | memoryview):
        return bytes(sound)
    samples = np.asarray(sound)
    if samples.ndim != 1:
        raise ValueError(f"sound has the shape {samples.shape}; accepted: mono samples [S]")
    if np.issubdtype(samples.dtype, np.floating):
        if not np.isfinite(samples).all():
            raise ValueError("sound has samples that are no numbers; accepted: floats of full scale 1")
        samples = (np.clip(samples, -1, 1) * 32767).round()
    return samples.astype("<i2").tobytes()
