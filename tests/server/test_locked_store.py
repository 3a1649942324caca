"""Fault 25: another program holds the lock of the store."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator

import pytest
from wancore_client import Client, Unavailable
from wancore_proto.v1 import job_pb2

from tests.server.harness import DEFAULTS, Server, eventually, running

State = job_pb2.Job.State


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running(tmp_path_factory.mktemp("impatient"), store_busy_s=0.4) as pair:
        yield pair


def test_a_locked_store_delays_writes_and_not_reads(impatient: tuple[Server, Client]) -> None:
    """Fault 25."""
    server, client = impatient
    done = client.create(family="faulty", frames=1)
    client.watch(done.name).wait()
    lock = sqlite3.connect(server.data / "store.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    assert client.job(done.name).state == State.STATE_SUCCEEDED
    assert len(list(client.jobs())) == 1
    from wancore_proto.v1 import job_service_pb2 as pb

    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(family="families/faulty"))
    with pytest.raises(Unavailable) as caught:
        client.call(client.job_streams.CreateJob, request)
    assert caught.value.reason == "STORE_BUSY" and caught.value.retry_s
    lock.execute("ROLLBACK")
    lock.close()
    assert client.generate(family="faulty", frames=1).wait().state == State.STATE_SUCCEEDED


def test_a_store_locked_while_a_job_runs(impatient: tuple[Server, Client]) -> None:
    """Fault 25: what a worker told while the store was locked is not lost with the job."""
    server, client = impatient
    job = client.create(family="faulty", frames=20, params={"block_s": 0.05})
    eventually(lambda: client.job(job.name).frame_count >= 4)
    lock = sqlite3.connect(server.data / "store.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    time.sleep(10.0 if DEFAULTS else 1.0)
    lock.execute("ROLLBACK")
    lock.close()
    result = client.watch(job.name).wait()
    assert result.state == State.STATE_SUCCEEDED and result.frame_count == 20
