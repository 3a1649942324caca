"""Fault 31: abuse below gRPC. Limits hold, others are served, and what was taken is given back."""

from __future__ import annotations

import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator

import grpc
import psutil
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes
from wancore_proto.v1 import asset_service_pb2, job_service_pb2

from tests.server.fuzzing.town import MIB, Town
from tests.server.harness import eventually, running

STREAMS, VIEWERS = 32, 8
GET_JOB, UPLOAD = "/wancore.v1.JobService/GetJob", "/wancore.v1.AssetService/UploadAsset"
RESOURCE_EXHAUSTED = b"8"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """`max_viewers` is small: calls that were never counted down would soon shut everybody out."""
    folder = tmp_path_factory.mktemp("server")
    with (
        running(folder, connection_streams=STREAMS, max_viewers=VIEWERS) as (server, client),
        grpc.insecure_channel(server.address) as channel,
    ):
        yield Town(server, client, channel)


def framed(message: bytes, compressed: bool = False) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message


ASKED = framed(job_service_pb2.GetJobRequest(name="jobs/none").SerializeToString())
HEADER = asset_service_pb2.UploadHeader(name=f"assets/sha256-{'2' * 64}", size_bytes=2**20)
UPLOADED = framed(asset_service_pb2.UploadAssetRequest(header=HEADER, data=bytes(1000)).SerializeToString())


class Raw:
    """A connection that does as it is told, also what no client should."""

    def __init__(self, town: Town) -> None:
        host, _, port = town.server.address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.state = H2Connection(H2Configuration(client_side=True, validate_outbound_headers=False))
        self.token = town.token
        self.events: list[Event] = []
        self.state.initiate_connection()
        self.flush()
        self.until(lambda: self.found(RemoteSettingsChanged))

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.state.data_to_send())

    def take(self) -> bool:
        """Reads once; whether the server still talks."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, TimeoutError):
            return False
        self.events += self.state.receive_data(data)
        return bool(data)

    def until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end and self.take(), self.events[-5:]
            self.flush()

    def found(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def headers(self, path: str, *others: tuple[str, str]) -> list[tuple[str, str]]:
        return [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "here"),
            ("content-type", "application/grpc"), ("te", "trailers"),
            ("authorization", f"Bearer {self.token}"), *others,
        ]  # fmt: skip

    def open(self, path: str, *others: tuple[str, str], body: bytes = b"", end: bool = False) -> int:
        stream = self.state.get_next_available_stream_id()
        self.state.send_headers(stream, self.headers(path, *others), end_stream=end and not body)
        if body:
            self.state.send_data(stream, body, end_stream=end)
        return stream

    def send_all(self, stream: int, data: bytes) -> None:
        """As much as the server's window lets through, to the end."""
        sent = 0
        while sent < len(data):
            room = min(self.state.local_flow_control_window(stream), self.state.max_outbound_frame_size)
            if not room:
                assert self.take()
            piece = data[sent : sent + room]
            sent += len(piece)
            self.state.send_data(stream, piece, end_stream=sent == len(data))
            self.flush()

    def status(self) -> bytes:
        """`grpc-status` of the one call on this connection."""
        kinds = (ResponseReceived, TrailersReceived)
        told = lambda: [dict(e.headers) for e in self.events if isinstance(e, kinds)]  # noqa: E731
        self.until(lambda: any(b"grpc-status" in headers for headers in told()))
        return next(headers[b"grpc-status"] for headers in told() if b"grpc-status" in headers)


@pytest.mark.parametrize(
    ("path", "body", "end"),
    [(GET_JOB, b"", False), (GET_JOB, ASKED, True), (UPLOAD, UPLOADED, False)],
    ids=["headers-only", "whole-calls", "uploads"],
)
def test_many_resets(town: Town, path: str, body: bytes, end: bool) -> None:
    with town.unharmed():
        with Raw(town) as raw:
            flood(raw, resets(raw, path, body, end))
        for _ in range(VIEWERS * 8):  # more than calls are allowed at once
            town.client.server_info()


def test_streams_of_a_connection_are_limited(town: Town) -> None:
    with town.unharmed(), Raw(town) as raw:
        assert raw.state.remote_settings.max_concurrent_streams == STREAMS
        raw.state.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 10_000  # it does not care
        raw.state.remote_settings.acknowledge()
        for _ in range(4 * STREAMS):
            raw.open(UPLOAD)
        raw.flush()
        raw.until(lambda: bool(raw.found(StreamReset) or raw.found(ConnectionTerminated)))


def test_many_pings(town: Town) -> None:
    with town.unharmed(), Raw(town) as raw:
        for _ in range(10):
            raw.state.ping(b"12345678")
        raw.flush()
        raw.until(lambda: bool(raw.found(ConnectionTerminated)))
        (gone,) = raw.found(ConnectionTerminated)
        assert gone.error_code == ErrorCodes.ENHANCE_YOUR_CALM


def resets(raw: Raw, path: str, body: bytes, end: bool) -> Iterator[bytes]:
    """3,000 calls that are begun and reset at once."""
    for _ in range(3000):
        raw.state.reset_stream(raw.open(path, body=body, end=end), ErrorCodes.CANCEL)
        yield raw.state.data_to_send()


def flood(raw: Raw, frames: Iterator[bytes]) -> None:
    """Sends until the server has had enough of it, or there is no more."""
    raw.socket.settimeout(2)
    try:
        for data in frames:
            raw.socket.sendall(data)
    except OSError:
        return


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def literal(name: bytes, value: bytes) -> bytes:
    """A header field for HPACK that is not indexed. Up to 126 bytes each."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "settings": lambda: (frame(4, 0, 0, b"") for _ in range(50_000)),
    "windows": lambda: (frame(8, 0, 0, b"\0\0\0\x01") for _ in range(50_000)),
    "priorities": lambda: (frame(2, 0, 2 * i + 1, b"\0\0\0\0\x10") for i in range(50_000)),
    "empty data": lambda: (frame(0, 0, 1, b"") for _ in range(50_000)),
    "unknown frames": lambda: (frame(0x77, 0, 0, bytes(16_000)) for _ in range(2000)),
    "continuations": lambda: (
        frame(9 if i else 1, 0, 1, literal(b"x-%d" % i, b"v" * 120) * 100) for i in range(5000)
    ),
    "empty continuations": lambda: (frame(9 if i else 1, 0, 1, b"") for i in range(50_000)),
    "table sizes": lambda: (frame(4, 0, 0, b"\0\x01" + i.to_bytes(4, "big")) for i in range(50_000)),
    "garbage": lambda: (bytes(range(256)) * 64 for _ in range(100)),
}


@pytest.mark.parametrize("what", FLOODS)
def test_floods(town: Town, what: str) -> None:
    with town.unharmed(), Raw(town) as raw:
        flood(raw, FLOODS[what]())


@pytest.mark.parametrize("count", [30, 300])
def test_long_headers_are_refused(town: Town, count: int) -> None:
    others = [(f"x-{i}", "v" * 1000) for i in range(count)]
    with town.unharmed(), Raw(town) as raw:
        raw.open(GET_JOB, *others, body=ASKED, end=True)
        raw.flush()
        assert raw.status() == RESOURCE_EXHAUSTED


def test_connections_that_say_nothing(town: Town) -> None:
    host, _, port = town.server.address.rpartition(":")
    with town.unharmed():
        silent = [socket.create_connection((host, int(port))) for _ in range(300)]
        for connection in silent[:100]:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r")
        eventually(lambda: town.gateway.num_fds() > 300)
        assert len(list(town.client.generate(family="steady", frames=3).frames())) == 3
        for connection in silent:
            connection.close()


def test_a_message_that_unpacks_to_far_too_much(town: Town) -> None:
    packer = zlib.compressobj(1, wbits=31)
    blob = b"".join(packer.compress(bytes(MIB)) for _ in range(256)) + packer.flush()
    assert len(blob) < 2 * MIB
    before, peak = town.gateway.memory_info().rss, 0
    with town.unharmed(), Raw(town) as raw:
        stream = raw.open(GET_JOB, ("grpc-encoding", "gzip"))
        raw.send_all(stream, framed(blob, compressed=True))
        watched = psutil.Process(town.gateway.pid)
        for _ in range(20):
            peak = max(peak, watched.memory_info().rss)
            time.sleep(0.005)
        assert raw.status() == RESOURCE_EXHAUSTED
    assert peak < before + 64 * MIB
