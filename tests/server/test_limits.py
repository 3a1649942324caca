"""Faults 29 and 32, and what is too long, too deep or too much: refused, and named."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from wancore_client import Client, InvalidRequest, NotFound
from wancore_client.errors import ApiError, status_of
from wancore_proto.v1 import (
    job_pb2,
    job_service_pb2,
)
from wancore_server.errors import MAX_STATUS_BYTES

from tests.server.harness import eventually, running

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
