"""Requests that once crashed a call, or held up the event loop for everybody."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from wancore_client import ApiError, Client, InvalidRequest
from wancore_client.errors import api_error
from wancore_proto.v1 import asset_service_pb2, frames_pb2, job_pb2, job_service_pb2

from tests.server.harness import Server, running

LAG_S = 0.15  # three times the promised 50 ms
REPEATS = 3  # another program may hold the processor once, not every time


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running(tmp_path_factory.mktemp("server"), queued_per_caller=500, running_per_caller=1) as pair:
        yield pair


@pytest.fixture(scope="module")
def send(server: Server) -> Iterator[Callable[..., bytes]]:
    """Bytes to a method, as they are; its reply, or a typed error."""
    with grpc.insecure_channel(server.address) as channel:

        def call(method: str, data: bytes, token: str = server.token) -> bytes:
            metadata = (("authorization", f"Bearer {token}"),) if token else ()
            try:
                return channel.unary_unary(f"/{method}")(data, timeout=30, metadata=metadata)
            except grpc.RpcError as error:
                raise api_error(error) from None

        yield call


def refused(send: Callable[..., bytes], method: str, data: bytes, **others: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        send(method, data, **others)
    return caught.value


@pytest.mark.parametrize("method", ["wancore.v1.JobService/GetJob", "grpc.health.v1.Health/Check"])
def test_bytes_that_are_no_message(send: Callable[..., bytes], method: str) -> None:
    error = refused(send, method, b"\xff\xff\xff")
    assert isinstance(error, InvalidRequest) and set(error.fields) == {"request"}
    assert "Error" not in str(error)  # the name of no exception of ours


def test_bytes_that_are_no_message_in_a_stream(server: Server) -> None:
    with grpc.insecure_channel(server.address) as channel:
        upload = channel.stream_unary("/wancore.v1.AssetService/UploadAsset")
        with pytest.raises(grpc.RpcError) as caught:
            upload(iter([b"\xff\xff"]), metadata=(("authorization", f"Bearer {server.token}"),), timeout=10)
    assert set(api_error(caught.value).fields) == {"request"}


def test_who_calls_is_asked_before_what(send: Callable[..., bytes]) -> None:
    assert refused(send, "wancore.v1.JobService/GetJob", b"\xff\xff\xff", token="").reason == "TOKEN_MISSING"


@pytest.mark.parametrize(
    "token",
    [
        "9999999999999999999 00000000-0000-4000-8000-000000000000",
        "٣ 00000000-0000-4000-8000-000000000000",
        "",
    ],
)
def test_page_tokens_from_elsewhere(send: Callable[..., bytes], token: str) -> None:
    text = base64.urlsafe_b64encode(token.encode()).decode() or "="
    request = job_service_pb2.ListJobsRequest(page_token=text)
    error = refused(send, "wancore.v1.JobService/ListJobs", request.SerializeToString())
    assert set(error.fields) == {"page_token"}


def test_states_that_are_none(send: Callable[..., bytes]) -> None:
    request = job_service_pb2.ListJobsRequest(states=[99])
    assert set(refused(send, "wancore.v1.JobService/ListJobs", request.SerializeToString()).fields) == {
        "states"
    }


HEAVY: dict[str, tuple[str, dict[str, object]]] = {
    "attachments": ("spec.attachments", {"attachments": [job_pb2.FamilyUse()] * 100_000}),
    "methods": (
        "spec.sampling.methods",
        {"sampling": job_pb2.Sampling(methods=[job_pb2.MethodUse()] * 100_000)},
    ),
    "encodings": (
        "spec.delivery.encodings",
        {"delivery": job_pb2.Delivery(encodings=[frames_pb2.ENCODING_PNG] * 100_000)},
    ),
    "inputs": ("spec.inputs", {"inputs": {f"role{i}": f"assets/sha256-{i:064x}" for i in range(2500)}}),
    "params": ("spec.params", {"params": {str(i): None for i in range(9000)}}),
    "prompt": ("spec.prompt", {"prompt": "é" * 100_000}),
    "message": ("request", {"prompt": "é" * 1_000_000}),
}


@pytest.mark.parametrize("what", HEAVY)
def test_too_much_of_anything_is_refused_at_once(
    send: Callable[..., bytes], client: Client, what: str
) -> None:
    field, content = HEAVY[what]
    spec = job_pb2.JobSpec(family="families/steady", **content)  # type: ignore[arg-type]
    data = job_service_pb2.CreateJobRequest(spec=spec, validate_only=True).SerializeToString()
    client.server_info()
    delays = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(REPEATS):
            bad = pool.submit(refused, send, "wancore.v1.JobService/CreateJob", data)
            worst = 0.0
            while not bad.done():
                begun = time.perf_counter()
                client.server_info()
                worst = max(worst, time.perf_counter() - begun)
            error = bad.result()
            assert error.reason == "LIMIT_EXCEEDED" and set(error.fields) == {field}
            delays.append(worst)
    assert min(delays) < LAG_S, delays


def test_parameters_at_their_limit_do_not_hold_up_others(send: Callable[..., bytes], client: Client) -> None:
    spec = job_pb2.JobSpec(family="families/steady")
    spec.params.update({str(i): i for i in range(3500)})
    data = job_service_pb2.CreateJobRequest(spec=spec, validate_only=True).SerializeToString()
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        assert len(refused(send, "wancore.v1.JobService/CreateJob", data).fields) == 20
        times.append(time.perf_counter() - begun)
    assert min(times) < LAG_S


def test_a_page_of_long_jobs_fits_into_a_message(client: Client) -> None:
    running = client.create(family="steady", params={"step_s": 600})
    made = [client.create("é" * 8000, family="steady", negative_prompt="x" * 16_000).name for _ in range(150)]
    request = job_service_pb2.ListJobsRequest(page_size=1000)
    page = client.call(client.job_calls.ListJobs, request)
    assert 10 < len(page.jobs) < 150 and page.ByteSize() < 4 * 2**20
    assert [job.name for job in client.jobs()] == [*reversed(made), running.name]


def test_uploads_that_never_come_are_forgotten(server: Server, client: Client) -> None:
    """A header alone must not cost the server more than the call."""
    calls = asset_service_pb2.UploadAssetRequest
    for i in range(50):
        header = asset_service_pb2.UploadHeader(name=f"assets/sha256-{i:064x}", size_bytes=10)
        with pytest.raises(grpc.RpcError) as caught:
            client.asset_calls.UploadAsset(iter([calls(header=header)]), metadata=client.connection.metadata)
        assert api_error(caught.value).reason == "DIGEST_MISMATCH"
    assert not list((server.data / "uploads").iterdir())
