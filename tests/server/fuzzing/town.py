"""A server under fire, with somebody beside it who only wants to be served."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.request import urlopen

import grpc
import psutil
from google.rpc import code_pb2, error_details_pb2, status_pb2
from prometheus_client.parser import text_string_to_metric_families
from wancore_client import Client
from wancore_client.errors import STATUS_KEY
from wancore_proto.v1 import admin_service_pb2, admin_service_pb2_grpc

from tests.server.harness import Server, eventually

MIB = 2**20
GROWTH = 64 * MIB  # of the gateway's memory over a test
LATE_S = 0.1  # the loop may be later than this ...
LATE_SHARE = 0.01  # ... in one sample of a hundred: other programs run here too
SERVED_S = 5.0
REASON = re.compile(r"[A-Z][A-Z0-9_]{1,62}")
STATUS_BYTES = 4096
#: What gRPC itself says, before any code of the server runs.
OWN_WORDS = ("Method not found!", "larger than max", "exceeds soft limit", "not implemented")
NEVER = (code_pb2.INTERNAL, code_pb2.UNKNOWN, code_pb2.ABORTED)


@dataclass(frozen=True)
class Reply:
    """How a call ended. `messages`: those that were read before that."""

    code: int
    text: str
    status: status_pb2.Status | None
    messages: Sequence[bytes] = ()

    @property
    def reason(self) -> str:
        return next((info.reason for info in self.unpacked(error_details_pb2.ErrorInfo)), "")

    @property
    def fields(self) -> set[str]:
        bad = self.unpacked(error_details_pb2.BadRequest)
        return {violation.field for found in bad for violation in found.field_violations}

    def unpacked(self, kind: type) -> list:  # type: ignore[type-arg]
        found = []
        for detail in self.status.details if self.status is not None else ():
            message = kind()
            if detail.Unpack(message):
                found.append(message)
        return found


def ended(error: grpc.RpcError, messages: Sequence[bytes] = ()) -> Reply:
    status = None
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_KEY:
            status = status_pb2.Status.FromString(value)
    return Reply(error.code().value[0], error.details() or "", status, messages)


def proper(reply: Reply, secrets: Sequence[str] = ()) -> None:
    """Asserts that a reply is one of those that the API promises."""
    name = code_pb2.Code.Name(reply.code)
    assert reply.code not in NEVER, f"{name}: {reply.text}"
    if reply.code == code_pb2.OK or any(words in reply.text for words in OWN_WORDS):
        return
    assert reply.status is not None, f"{name} without details: {reply.text}"
    assert reply.status.code == reply.code and reply.status.message == reply.text
    assert reply.status.ByteSize() <= STATUS_BYTES
    kinds = [detail.type_url for detail in reply.status.details]
    assert len(kinds) == len(set(kinds))
    (info,) = reply.unpacked(error_details_pb2.ErrorInfo)
    assert info.domain == "wancore" and REASON.fullmatch(info.reason), info
    if reply.code == code_pb2.INVALID_ARGUMENT:
        assert reply.fields
    told = str(reply.status)
    assert "Traceback" not in told and not any(secret in told for secret in secrets)


@dataclass
class Bystander:
    """Asks for something small all the time, over a connection of its own."""

    client: Client
    stop: threading.Event = field(default_factory=threading.Event)
    waits: list[float] = field(default_factory=list)
    problems: list[Exception] = field(default_factory=list)

    def run(self) -> None:
        while not self.stop.wait(0.05):
            begun = time.monotonic()
            try:
                self.client.server_info()
            except Exception as error:
                self.problems.append(error)
            self.waits.append(time.monotonic() - begun)


class Town:
    """`channel`: for raw bytes. `token` may do everything, `other` may not and has room for no job."""

    def __init__(self, server: Server, client: Client, channel: grpc.Channel) -> None:
        self.server, self.client, self.channel = server, client, channel
        self.token = server.token
        self.other = make_token(server, "other")
        quota = admin_service_pb2.Quota(caller="local", queued_jobs=20, running_jobs=2)
        client.call(
            admin_service_pb2_grpc.AdminServiceStub(client.calls).SetQuota,
            admin_service_pb2.SetQuotaRequest(quota=quota),
        )
        assert server.process is not None
        self.gateway = psutil.Process(server.process.pid)

    def metadata(self, token: str | None = None) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token if token is None else token}"),)

    def send(
        self, method: str, *requests: bytes, token: str | None = None, timeout: float = 20.0, most: int = 100
    ) -> Reply:
        """Sends requests as they are to `package.Service/Method`; reads up to `most` messages."""
        stream = self.channel.stream_stream(f"/{method}")(
            iter(requests), metadata=self.metadata(token), timeout=timeout
        )
        messages: list[bytes] = []
        try:
            for message in stream:
                messages.append(message)
                if len(messages) >= most:
                    stream.cancel()
                    break
        except grpc.RpcError as error:
            return ended(error, messages)
        return Reply(code_pb2.OK, "", None, messages)

    def check(self, reply: Reply) -> None:
        proper(reply, (self.token, self.other, str(self.server.folder)))

    def errors(self) -> list[str]:
        """Lines of the server's log that tell of a mistake."""
        return [line for line in self.server.log.read_text().splitlines() if '"level": "error"' in line]

    def lag(self) -> tuple[float, float]:
        """Samples of the event loop's lag so far: late ones, all."""
        with urlopen(f"http://{self.server.metrics_address}/metrics") as page:
            families = text_string_to_metric_families(page.read().decode())
        samples = [s for f in families if f.name == "wancore_event_loop_lag_seconds" for s in f.samples]
        count = next(s.value for s in samples if s.name.endswith("_count"))
        good = next(s.value for s in samples if s.labels.get("le") == str(LATE_S))
        return count - good, count

    @contextmanager
    def unharmed(self, growth: int = GROWTH) -> Iterator[None]:
        """Asserts that the server is afterwards as it was, and served others meanwhile."""
        errors, (late, samples) = len(self.errors()), self.lag()
        open_files, memory = self.gateway.num_fds(), self.gateway.memory_info().rss
        with self.server.client() as client:
            bystander = Bystander(client)
            thread = threading.Thread(target=bystander.run)
            thread.start()
            try:
                yield
            finally:
                bystander.stop.set()
                thread.join()
            assert not bystander.problems, bystander.problems[0]
            assert max(bystander.waits, default=0.0) < SERVED_S
        assert self.gateway.is_running() and self.gateway.status() != psutil.STATUS_ZOMBIE
        assert self.errors()[errors:] == []
        late_after, samples_after = self.lag()
        allowed = max(2.0, LATE_SHARE * (samples_after - samples))
        assert late_after - late <= allowed, (late_after - late, samples_after - samples)
        eventually(lambda: self.gateway.num_fds() <= open_files + 2)
        assert self.gateway.memory_info().rss < memory + growth
        assert len(list(self.client.generate(family="steady", frames=2).frames())) == 2


def make_token(server: Server, name: str) -> str:
    command = [sys.executable, "-m", "wancore_server", "token", name, "--data", str(server.data)]
    done = subprocess.run(command, env=server.environment(), capture_output=True, text=True, check=True)
    return done.stdout.strip()
