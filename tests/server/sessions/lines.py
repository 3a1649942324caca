"""Sessions as the tests of this folder want them, and their bare streams."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from wancore_client import ApiError, Client
from wancore_client.errors import api_error
from wancore_client.session import Session
from wancore_proto.v1alpha import session_service_pb2 as pb
from wancore_proto.v1alpha import session_service_pb2_grpc

from tests.server.faulty.wancore_faulty import picture

RATE, FPS, BLOCK = 16_000, 8, 4

LATER = b"\x9a\x06\x00"  # a message in field 99, as a later client may send one

SHORT = {
    "session_idle_s": 1.2, "session_rejoin_s": 0.8, "session_stall_s": 2.0, "session_lease_s": 0.3,
    "session_lifetime_s": 30.0, "running_per_caller": 8, "quarantine_crashes": 1000,
}  # fmt: skip


def sound(blocks: float) -> np.ndarray:
    return np.zeros(round(blocks * BLOCK * RATE / FPS), np.int16)


def session(client: Client, prompt: str = "abc", **keywords: Any) -> Session:
    params = {"block_frames": BLOCK, **keywords.pop("params", {})}
    return client.session(prompt, family="faulty", params=params, seed=5, **keywords)


def expected(words: list[str]) -> np.ndarray:
    """The pictures of blocks that were made under these words."""
    return np.stack(
        [picture(5 + len(text), BLOCK * b + k, 64, 48) for b, text in enumerate(words) for k in range(BLOCK)]
    )


class Line:
    """The bare stream of a session, to say and hear exactly what a test wants."""

    def __init__(self, client: Client, name: str, **header: Any) -> None:
        self.sending: queue.SimpleQueue[pb.LiveRequest | None] = queue.SimpleQueue()
        self.say(header=pb.LiveHeader(session=name, **header))
        stub = session_service_pb2_grpc.SessionServiceStub(client.streams)
        self.call = stub.Live(iter(self.sending.get, None), metadata=client.connection.metadata, timeout=20)
        self.heard: list[pb.LiveEvent] = []
        self.coming: queue.SimpleQueue[pb.LiveEvent | grpc.RpcError | None] | None = None

    def say(self, **part: Any) -> None:
        self.sending.put(pb.LiveRequest(**part))

    def push(self, blocks: float, position: int = 0) -> None:
        pcm = sound(blocks).tobytes()
        for at in range(0, len(pcm), 2 * RATE):
            chunk = pb.AudioChunk(position=position + at // 2, pcm16=pcm[at : at + 2 * RATE])
            self.say(audio=chunk)

    def read(self) -> None:
        assert self.coming is not None
        last: grpc.RpcError | None = None
        try:
            for event in self.call:
                self.coming.put(event)
        except grpc.RpcError as error:
            last = error
        self.coming.put(last)

    def next(self, seconds: float | None = None) -> pb.LiveEvent | None:
        """None: the end. Raises `queue.Empty`, or what the stream ends with. Nothing is read before it is
        called for the first time."""
        if self.coming is None:
            self.coming = queue.SimpleQueue()
            threading.Thread(target=self.read, daemon=True).start()
        item = self.coming.get(timeout=seconds)
        if isinstance(item, grpc.RpcError):
            raise item
        return item

    def until(self, wanted: Callable[[pb.LiveEvent], bool]) -> pb.LiveEvent:
        while (event := self.next()) is not None:
            self.heard.append(event)
            if wanted(event):
                return event
        raise AssertionError("the stream ended before")

    def block(self, number: int) -> None:
        self.until(lambda e: e.HasField("block_end") and e.block_end.block == number)

    def control(self, id: str) -> pb.ControlResult:
        return self.until(lambda e: e.HasField("control") and e.control.id == id).control

    def quiet(self, seconds: float) -> list[str]:
        """What is heard meanwhile."""
        end, kinds = time.monotonic() + seconds, list[str]()
        with contextlib.suppress(queue.Empty):
            while (event := self.next(max(0.0, end - time.monotonic()))) is not None:
                kinds.append(str(event.WhichOneof("event")))
        return kinds

    def refused(self) -> ApiError:
        with pytest.raises(grpc.RpcError) as caught:
            while self.next() is not None:
                pass
        return api_error(caught.value)  # type: ignore[arg-type]


def reason(status: Any) -> str:
    return ApiError(status).reason
