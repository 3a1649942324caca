"""The thread that writes the store dies of something unforeseen."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from wancore_client import Client, Unavailable
from wancore_client.errors import api_error
from wancore_proto.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc

from tests.server.harness import Server

Status = health_pb2.HealthCheckResponse
CREATE = job_service_pb2.CreateJobRequest(spec=job_pb2.JobSpec(family="families/faulty"))


class Caller:
    """Calls once, where the client library would try again."""

    def __init__(self, server: Server, client: Client) -> None:
        self.channel = grpc.insecure_channel(server.address, [("grpc.enable_retries", 0)])
        self.jobs = job_service_pb2_grpc.JobServiceStub(self.channel)
        self.metadata = client.connection.metadata

    def create(self) -> str:
        try:
            return str(self.jobs.CreateJob(CREATE, metadata=self.metadata, timeout=10).name)
        except grpc.RpcError as error:
            raise api_error(error) from None

    def create_until_refused(self) -> tuple[list[str], Unavailable]:
        """Names of the jobs that were acknowledged, and the first refusal."""
        names: list[str] = []
        try:
            while len(names) < 100:
                names.append(self.create())
        except Unavailable as refused:
            return names, refused
        raise AssertionError("the writer lives")


def test_the_server_says_so_and_ends_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    server = Server(tmp_path, fail_point="store-writer:25:raise", queued_per_caller=1000)
    try:
        server.start()
        with server.client() as client:
            server.ready(client)
            caller = Caller(server, client)
            asked = health_pb2.HealthCheckRequest(service="")
            watch = health_pb2_grpc.HealthStub(caller.channel).Watch(asked, timeout=20)
            assert next(watch).status == Status.SERVING
            names, refused = caller.create_until_refused()
            assert refused.reason == "STORE_LOST" and refused.retry_s
            assert next(watch).status == Status.NOT_SERVING
            with pytest.raises(Unavailable) as again:
                caller.create()
            assert again.value.reason == "STORE_LOST"
            caller.channel.close()
        assert server.process is not None and server.process.wait(20) == 1
        told = server.log.read_text()
        assert "error: the store can no longer be written" in told
        critical = [json.loads(line) for line in told.splitlines() if '"critical"' in line]
        assert critical and "fail point store-writer" in critical[0]["trace"]
        server.settings["fail_point"] = ""
        server.start()
        with server.client() as client:
            for name in names:
                assert client.watch(name).wait().state == job_pb2.Job.STATE_SUCCEEDED
        assert server.stop() == 0
    finally:
        server.end()


def test_a_server_that_is_starting_ends_too(tmp_path: Path) -> None:
    server = Server(tmp_path, fail_point="store-writer:1:raise")
    try:
        assert server.launch().wait(30) == 1
        assert "error: the thread that writes the store died" in server.log.read_text()
    finally:
        server.end()
