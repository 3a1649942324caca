"""The events of a job, from a stream that is resumed whenever it breaks."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator

import grpc
from wancore_proto.v1 import job_pb2, job_service_pb2

from wancore_client.connection import Connection
from wancore_client.errors import ApiError, ConnectionLost, api_error

#: The server's word that a stream may be tried again; other reasons end it.
RESUMABLE = {
    "VIEWER_TOO_SLOW", "STARTING", "DRAINING", "STORE_BUSY", "STORE_LOST", "TOO_MANY_VIEWERS",
    "TOO_MANY_CALLS",
}  # fmt: skip
#: Codes of a connection that broke: there is no reason from the server then.
BROKEN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
FIRST_WAIT_S, MOST_WAIT_S = 0.2, 5.0
AHEAD = 4  # messages read before they are asked for

Call = Callable[[job_service_pb2.Cursor | None], Iterator[job_pb2.JobEvent]]


class Reader:
    """Reads one stream in a thread, so that silence can be noticed; `AHEAD` messages at most wait here."""

    def __init__(self, call: Iterator[job_pb2.JobEvent]) -> None:
        self.call = call
        self.items: queue.Queue[job_pb2.JobEvent | grpc.RpcError | None] = queue.Queue(AHEAD)
        self.stopped = threading.Event()
        threading.Thread(target=self.read, name="wancore-stream", daemon=True).start()

    def read(self) -> None:
        last: grpc.RpcError | None = None
        try:
            for event in self.call:
                self.put(event)
        except grpc.RpcError as error:
            last = error
        self.put(last)

    def put(self, item: job_pb2.JobEvent | grpc.RpcError | None) -> None:
        while not self.stopped.is_set():
            try:
                self.items.put(item, timeout=0.5)
                return
            except queue.Full:
                continue

    def stop(self) -> None:
        self.stopped.set()
        self.call.cancel()  # type: ignore[attr-defined]


class Events:
    """Iterates over the events of a job to its result; each stored event once.

    `call(cursor)` opens the stream: the first time with `cursor`, then behind the last event seen.
    """

    def __init__(self, connection: Connection, call: Call, cursor: job_service_pb2.Cursor | None) -> None:
        self.connection, self.call, self.cursor = connection, call, cursor
        self.attempt = 0
        self.sequence = 0
        self.reconnects = 0
        self.reader: Reader | None = None
        self.closed = False

    def __iter__(self) -> Iterator[job_pb2.JobEvent]:
        try:
            yield from self.follow()
        finally:
            self.close()

    def follow(self) -> Iterator[job_pb2.JobEvent]:
        last_message, wait = time.monotonic(), FIRST_WAIT_S
        while not self.is_closed():
            error: Exception | None = None
            for item in self.read():
                if isinstance(item, Exception):
                    error = item
                    break
                last_message, wait = time.monotonic(), FIRST_WAIT_S
                if self.fresh(item):
                    yield item
                if item.WhichOneof("event") == "result":
                    return
            if self.is_closed():
                return
            if isinstance(error, ApiError):
                raise error
            if time.monotonic() - last_message > self.connection.patience_s:
                raise ConnectionLost(f"no message for {self.connection.patience_s:g} s ({error})") from error
            self.reconnects += 1
            time.sleep(wait * random.uniform(0.8, 1.2))
            wait = min(wait * 2, MOST_WAIT_S)

    def read(self) -> Iterator[job_pb2.JobEvent | Exception]:
        """One stream, to its end; last the reason why it ended."""
        try:
            self.reader = Reader(self.call(self.cursor))
        except grpc.RpcError as error:
            yield reason(error)
            return
        try:
            while True:
                try:
                    item = self.reader.items.get(timeout=self.connection.silence_s)
                except queue.Empty:
                    yield ConnectionLost(f"silent for {self.connection.silence_s:g} s")
                    return
                if item is None:
                    yield ConnectionLost("the stream ended without a result")
                    return
                if isinstance(item, grpc.RpcError):
                    yield reason(item)
                    return
                yield item
        finally:
            self.reader.stop()

    def fresh(self, event: job_pb2.JobEvent) -> bool:
        """Whether it was not seen before; moves the cursor behind it."""
        if event.attempt > self.attempt:
            self.attempt = event.attempt
        if not event.sequence:
            return True
        kind = event.WhichOneof("event")
        part = event.frame if kind == "frame" else event.fragment if kind == "fragment" else None
        if event.sequence <= self.sequence:
            return False
        if part is None or part.part + 1 == part.part_count:
            self.sequence = event.sequence
            self.cursor = job_service_pb2.Cursor(attempt=self.attempt, after_sequence=event.sequence)
        return True

    def is_closed(self) -> bool:
        """Asked again and again, since another thread may close it."""
        return self.closed

    def close(self) -> None:
        """Ends the stream; the job goes on as its `on_disconnect` says."""
        self.closed = True
        if self.reader is not None:
            self.reader.stop()


def reason(error: grpc.RpcError) -> Exception:
    """`ConnectionLost` for what can be tried again, else the server's error."""
    told = api_error(error)
    if told.reason in RESUMABLE or (not told.reason and error.code() in BROKEN):
        return ConnectionLost(str(told))
    return told
