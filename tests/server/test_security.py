"""Faults 14, 28 to 34: tokens, other callers, hostile names and messages, raw connections."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wancore_client import Client, InvalidRequest, NotAuthorised, NotFound
from wancore_client.errors import ApiError, api_error, status_of
from wancore_proto.v1 import (
    admin_service_pb2,
    asset_service_pb2,
    catalog_service_pb2,
    job_pb2,
    job_service_pb2,
)
from wancore_server.errors import MAX_STATUS_BYTES

from tests.server.harness import Server, eventually, running

SERVICES = [
    job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
    asset_service_pb2.DESCRIPTOR.services_by_name["AssetService"],
    catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
]
METHODS = [method for service in SERVICES for method in service.methods if method.name != "Drain"]


def new_token(server: Server, name: str, *options: str) -> str:
    command = [sys.executable, "-m", "wancore_server", "token", name, "--data", str(server.data), *options]
    made = subprocess.run(command, capture_output=True, text=True, check=True, env=server.environment())
    return made.stdout.strip()


def raw_call(
    client: Client, method: str, data: bytes, metadata: object = None, stream: bool = False
) -> bytes:
    """A call with these very bytes; the status as an `ApiError` where it is refused."""
    call = (client.calls.unary_stream if stream else client.calls.unary_unary)(method, None, None)
    chosen = client.connection.metadata if metadata is None else metadata
    try:
        answer = call(data, timeout=5, metadata=chosen)
        if not stream:
            return bytes(answer)
        first = next(answer, b"")
        answer.cancel()
        return bytes(first)
    except grpc.RpcError as error:
        raise api_error(error) from error


@pytest.mark.parametrize("token", ["", "wrong", "é" * 3, "x" * 2000])
def test_without_a_token_nothing_is_told(server: Server, token: str) -> None:
    """Fault 33, on loopback too."""
    with (
        server.client(token=token.encode("ascii", "ignore").decode()) as client,
        pytest.raises(NotAuthorised) as caught,
    ):
        client.server_info()
    assert caught.value.reason == "TOKEN_MISSING"


def test_every_method_wants_a_token(client: Client) -> None:
    for method in METHODS:
        path = f"/{method.containing_service.full_name}/{method.name}"
        with pytest.raises(NotAuthorised):
            raw_call(client, path, b"", metadata=(), stream=method.server_streaming)


def test_the_token_file_is_private(server: Server) -> None:
    assert (server.data / "token").stat().st_mode & 0o777 == 0o600
    assert server.token not in (server.data / "store.db").read_bytes().decode("latin-1")
    assert server.token not in server.log.read_text()


def test_callers_see_only_their_own(server: Server, client: Client) -> None:
    """Fault 33."""
    job = client.create(family="faulty", frames=1)
    client.watch(job.name).wait()
    with server.client(token=new_token(server, "guest")) as guest:
        assert list(guest.jobs()) == []
        for call in (guest.job, guest.cancel, guest.delete):
            with pytest.raises(NotFound):
                call(job.name)
        with pytest.raises(NotFound):
            guest.watch(job.name).wait()
        with pytest.raises(NotFound):
            list(guest.read_artifact(f"{job.name}/artifacts/0"))


def test_scopes_and_expiry(server: Server) -> None:
    """Fault 33: a token that may only read; one whose time is over."""
    with server.client(token=new_token(server, "reader", "--scope", "read")) as reader:
        reader.families()
        with pytest.raises(NotAuthorised) as caught:
            reader.create(family="faulty")
        assert caught.value.reason == "SCOPE_MISSING" and caught.value.metadata["scope"] == "generate"
    with server.client(token=new_token(server, "late", "--days", "0")) as late, pytest.raises(NotAuthorised):
        late.families()


NAMES = [
    "jobs/../../etc/passwd", "jobs/..", "jobs/\0", "jobs/con", "jobs/" + "a" * 5000, "jobs/ａ", "jobs/a/b",
    "/etc/passwd", "file:///etc/passwd", "jobs/%2e%2e", "assets/sha256-..", "models/../../x", "jobs/\u202e",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_tricky_names_are_refused(client: Client, name: str) -> None:
    """Fault 29: names never become paths unless they are digests and UUIDs."""
    from wancore_proto.v1 import asset_service_pb2 as pb

    with pytest.raises(InvalidRequest):
        client.call(client.job_calls.GetJob, job_service_pb2.GetJobRequest(name=name))
    with pytest.raises(InvalidRequest):
        client.call(client.asset_calls.GetAsset, pb.GetAssetRequest(name=name))
    with pytest.raises(InvalidRequest):
        list(client.read_artifact(name + "/artifacts/0"))
    for inputs in ({"image": name}, {name: "assets/sha256-" + "0" * 64}):
        spec = job_pb2.JobSpec(family="families/faulty", inputs=inputs)
        with pytest.raises(InvalidRequest):
            client.call(client.job_calls.CreateJob, job_service_pb2.CreateJobRequest(spec=spec))
    with pytest.raises((InvalidRequest, NotFound)):
        spec = job_pb2.JobSpec(family="families/faulty", model=name)
        client.call(client.job_calls.CreateJob, job_service_pb2.CreateJobRequest(spec=spec))


def test_long_details_are_cut_and_the_code_arrives(client: Client) -> None:
    """Fault 32."""
    spec = job_pb2.JobSpec(family="families/faulty")
    for i in range(200):
        spec.params[f"{'unknown' * 40}{i}"] = "ü" * 200
    try:
        client.job_calls.CreateJob(
            job_service_pb2.CreateJobRequest(spec=spec), metadata=client.connection.metadata
        )
        raise AssertionError("accepted")
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        status = status_of(error)
    assert status.ByteSize() <= MAX_STATUS_BYTES
    told = ApiError(status)
    assert told.reason and told.metadata


def test_limits(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.create("x" * 20_000, family="faulty")
    assert caught.value.reason == "LIMIT_EXCEEDED"
    assert caught.value.metadata == {"field": "spec.prompt", "limit": "16384", "value": "20000"}
    nested: object = 1
    for _ in range(12):
        nested = {"a": nested}
    with pytest.raises(InvalidRequest) as deep:
        client.create(family="faulty", params={"x": nested})
    assert deep.value.reason == "LIMIT_EXCEEDED"
    with pytest.raises(ApiError) as huge:
        client.create("x" * 5_000_000, family="faulty")
    assert huge.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS,
}  # fmt: skip


def proper(call: object, method: object) -> None:
    """It succeeds, or is refused with a status that has details."""
    try:
        call()  # type: ignore[operator]
    except ApiError as error:
        codes = {code.value[0] for code in REFUSALS}
        own = error.reason and error.code in codes
        # What cannot even be parsed is refused by gRPC itself.
        unparsable = error.code == grpc.StatusCode.INTERNAL.value[0] and "deserializ" in str(error)
        assert own or unparsable, (method, error, error.reason)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(method=st.sampled_from(METHODS), data=st.binary(max_size=200))
def test_random_bytes(client: Client, method: object, data: bytes) -> None:
    """Fault 30."""
    path = f"/{method.containing_service.full_name}/{method.name}"  # type: ignore[attr-defined]
    proper(lambda: raw_call(client, path, data, stream=method.server_streaming), path)  # type: ignore[attr-defined]


def messages(descriptor: object, depth: int = 0) -> st.SearchStrategy[dict[str, object]]:
    """Random field values of a message, by its descriptor; NaN, extremes and deep nesting among them."""
    fields = {}
    for field in descriptor.fields:  # type: ignore[attr-defined]
        strategy = values(field, depth)
        if strategy is not None:
            fields[field.name] = strategy
    return st.fixed_dictionaries({}, optional=fields)


def values(field: object, depth: int) -> st.SearchStrategy[object] | None:
    F = type(field)
    kind = field.cpp_type  # type: ignore[attr-defined]
    simple: dict[int, st.SearchStrategy[object]] = {
        F.CPPTYPE_INT32: st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]),
        F.CPPTYPE_INT64: st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]),
        F.CPPTYPE_UINT32: st.sampled_from([0, 1, 17, 2**32 - 1]),
        F.CPPTYPE_UINT64: st.sampled_from([0, 1, 2**63, 2**64 - 1]),
        F.CPPTYPE_DOUBLE: st.floats(),
        F.CPPTYPE_BOOL: st.booleans(),
        F.CPPTYPE_ENUM: st.sampled_from([0, 1, 2, 99, -1]),
        F.CPPTYPE_STRING: st.sampled_from(
            ["", "families/faulty", "jobs/x", "a" * 300, "\u202e", "assets/sha256-" + "0" * 64, "models/m"]
        ),
    }  # fmt: skip
    if kind == F.CPPTYPE_STRING and field.type == F.TYPE_BYTES:  # type: ignore[attr-defined]
        strategy: st.SearchStrategy[object] = st.binary(max_size=50)
    elif kind == F.CPPTYPE_MESSAGE:
        message = field.message_type  # type: ignore[attr-defined]
        if message.GetOptions().map_entry or depth > 3:
            return None
        if message.full_name == "google.protobuf.Struct":
            return st.dictionaries(
                st.sampled_from(["step_s", "fault", "key", "?", "\0"]),
                st.one_of(st.floats(), st.text(max_size=9), st.none(), st.booleans()), max_size=4,
            )  # fmt: skip
        strategy = messages(message, depth + 1)
    else:
        strategy = simple[kind]
    return st.lists(strategy, max_size=3) if field.is_repeated else strategy  # type: ignore[attr-defined]


def build(descriptor: object, fields: dict[str, object]) -> object:
    from google.protobuf import message_factory

    message = message_factory.GetMessageClass(descriptor)()
    fill(message, fields)
    return message


def fill(message: object, fields: dict[str, object]) -> None:
    for name, value in fields.items():
        target = getattr(message, name)
        if isinstance(value, dict) and hasattr(target, "update"):
            target.update(value)
        elif isinstance(value, dict):
            target.SetInParent()
            fill(target, value)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    if hasattr(target, "add"):
                        fill(target.add(), item)
                else:
                    target.append(item)
        else:
            setattr(message, name, value)


UNARY = [m for m in METHODS if m.name not in ("RestartWorker", "SetQuota", "UploadAsset", "Generate")]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), method=st.sampled_from(UNARY))
def test_random_messages(client: Client, data: st.DataObject, method: object) -> None:
    """Fault 30, from the descriptors."""
    fields = data.draw(messages(method.input_type))  # type: ignore[attr-defined]
    message = build(method.input_type, fields)  # type: ignore[attr-defined]
    if hasattr(message, "validate_only"):
        message.validate_only = True
    path = f"/{method.containing_service.full_name}/{method.name}"  # type: ignore[attr-defined]
    body = message.SerializeToString() + b"\xfa\x7f\x03abc"  # type: ignore[attr-defined]  # and an unknown field
    proper(lambda: raw_call(client, path, body, stream=method.server_streaming), (path, fields))  # type: ignore[attr-defined]


def test_after_the_fuzzing_all_is_well(server: Server, client: Client) -> None:
    assert server.process is not None and server.process.poll() is None
    assert '"level": "error"' not in server.log.read_text()
    assert client.generate(family="faulty", frames=2).wait().frame_count == 2


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def connected(server: Server) -> socket.socket:
    host, _, port = server.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


@pytest.mark.parametrize("abuse", ["resets", "pings", "headers", "slow", "garbage"])
def test_raw_abuse_leaves_others_served(server: Server, client: Client, abuse: str) -> None:
    """Fault 31."""
    body = {
        "resets": b"".join(
            frame(1, 4, i, b"\x82\x86\x84") + frame(3, 0, i, b"\0\0\0\x08") for i in range(1, 4000, 2)
        ),
        "pings": frame(6, 0, 0, bytes(8)) * 20_000,
        "headers": frame(1, 0, 1, b"\x82") + frame(9, 0, 1, b"\x00\x01a\x7f\xe1\x07" + b"b" * 4000) * 200,
        "slow": b"",
        "garbage": bytes(range(256)) * 400,
    }[abuse]
    connections = [connected(server) for _ in range(50 if abuse == "slow" else 2)]
    stop = threading.Event()

    def attack(connection: socket.socket) -> None:
        try:
            connection.sendall((b"" if abuse == "garbage" else PREFACE) + body)
            while not stop.wait(0.05) and connection.recv(65536):
                pass
        except OSError:
            pass

    threads = [threading.Thread(target=attack, args=(c,), daemon=True) for c in connections]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    assert client.generate(family="faulty", frames=3).wait().frame_count == 3
    assert time.monotonic() - started < 10
    stop.set()
    for connection in connections:
        connection.close()


def test_a_web_page_gets_nothing(server: Server) -> None:
    """Fault 34, without a browser listener: plain HTTP is no way in, and says nothing of other origins."""
    host, _, port = server.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.request(
            "POST", "/wancore.v1.CatalogService/GetServerInfo", headers={"Origin": "http://evil"}
        )
        response = connection.getresponse()
        assert response.status >= 400 and "access-control-allow-origin" not in response.headers
        raise http.client.HTTPException


def test_addresses_beyond_this_machine(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.address = "0.0.0.0:0"
    assert server.launch().wait(20) == 1
    assert "--insecure-bind" in server.log.read_text()
    server.settings["insecure_bind"] = True
    try:
        server.start()
        assert "without TLS" in server.log.read_text()
    finally:
        server.end()


def test_unix_socket(tmp_path: Path) -> None:
    server = Server(tmp_path)
    path = tmp_path / "s"
    server.address = f"unix:{path}"
    try:
        server.start()
        assert path.stat().st_mode & 0o777 == 0o600
        with server.client() as client:
            server.ready(client)
    finally:
        server.end()


def certificate(folder: Path, name: str) -> bytes:
    """A self-signed certificate for 127.0.0.1 in cert.pem and key.pem."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2)).add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    (folder / "cert.pem").write_bytes(pem)
    return pem


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[Server, Path, bytes]]:
    pem = certificate(tmp_path, "one")
    server = Server(tmp_path, tls_certificate=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"))
    try:
        yield server.start(), tmp_path, pem
    finally:
        server.end()


def test_tls_and_reload(tls: tuple[Server, Path, bytes]) -> None:
    server, folder, first = tls
    with server.client(root_certificates=first) as client:
        server.ready(client)
    second = certificate(folder, "two")
    with server.client(root_certificates=second, patience_s=1) as client:
        eventually(lambda: client.server_info().version != "", 5)


def test_a_quota_is_kept(tmp_path: Path) -> None:
    from wancore_client import Refused

    with running(tmp_path, queued_per_caller=2, running_per_caller=1) as (_, client):
        slow = client.create(family="faulty", steps=50, params={"step_s": 0.1})
        eventually(lambda: client.job(slow.name).state == job_pb2.Job.STATE_RUNNING)
        waiting = [client.create(family="faulty", frames=1) for _ in range(2)]
        assert [client.job(job.name).queue.position for job in waiting] in ([0, 1], [0, 0])
        with pytest.raises(Refused) as caught:
            client.create(family="faulty")
        assert caught.value.reason == "QUOTA_EXCEEDED" and caught.value.retry_s
        quota = [d for d in caught.value.status.details if d.Is(error_details_pb2.QuotaFailure.DESCRIPTOR)]
        assert quota
        client.cancel(slow.name)
        for job in waiting:
            client.watch(job.name).wait()
