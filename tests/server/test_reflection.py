"""What a generic client needs to know nothing beforehand: reflection, and the standard health service."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from wancore_proto.v1 import job_pb2

from tests.server.harness import Server, eventually, running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
JOBS = "wancore.v1.JobService"


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture
def database(channel: grpc.Channel) -> ProtoReflectionDescriptorDatabase:
    return ProtoReflectionDescriptorDatabase(channel)


class Curl:
    """Calls methods by name with JSON, from what the server tells of itself."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self.channel, self.metadata = channel, (("authorization", f"Bearer {token}"),)
        self.pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def method(self, name: str) -> MethodDescriptor:
        service, _, method = name.partition("/")
        return self.pool.FindServiceByName(service).methods_by_name[method]

    def call(self, name: str, request: dict[str, object]) -> list[dict[str, object]]:
        method = self.method(name)
        message = ParseDict(request, GetMessageClass(method.input_type)(), descriptor_pool=self.pool)
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        call = make(
            f"/{name}", lambda m: m.SerializeToString(), GetMessageClass(method.output_type).FromString
        )
        answer = call(message, metadata=self.metadata, timeout=20)
        messages = list(answer) if method.server_streaming else [answer]
        return [
            MessageToDict(m, preserving_proto_field_name=True, descriptor_pool=self.pool) for m in messages
        ]


def test_every_service_is_listed(database: ProtoReflectionDescriptorDatabase) -> None:
    assert set(database.get_services()) == {
        "wancore.v1.JobService",
        "wancore.v1.AssetService",
        "wancore.v1.CatalogService",
        "wancore.v1.AdminService",
        "wancore.v1alpha.SessionService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


def test_descriptors_come_with_what_they_import(channel: grpc.Channel) -> None:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    spec = pool.FindMessageTypeByName("wancore.v1.JobSpec")
    assert [f.name for f in spec.fields] == [f.name for f in job_pb2.JobSpec.DESCRIPTOR.fields]
    assert spec.fields_by_name["params"].message_type.full_name == "google.protobuf.Struct"
    assert pool.FindMessageTypeByName("google.rpc.Status").fields_by_name["details"]


def test_a_unary_method_is_called_by_name(channel: grpc.Channel, server: Server) -> None:
    curl = Curl(channel, server.token)
    (family,) = curl.call("wancore.v1.CatalogService/GetFamily", {"name": "families/faulty"})
    assert family["name"] == "families/faulty"
    assert "step_s" in json.loads(str(family["parameter_schema"]))["properties"]


def test_a_stream_is_called_by_name(channel: grpc.Channel, server: Server) -> None:
    curl = Curl(channel, server.token)
    shape = {"width": 16, "height": 16, "frame_count": 2}
    spec = {"family": "families/steady", "shape": shape, "seed": "5", "params": {"block_frames": 1}}
    events = curl.call("wancore.v1.JobService/Generate", {"spec": spec})
    assert "header" in events[0] and events[-1]["result"]["state"] == "STATE_SUCCEEDED"  # type: ignore[index]
    assert sum("frame" in event for event in events) == 2


def test_without_a_token_only_the_form_is_told(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        Curl(channel, "").call("wancore.v1.CatalogService/ListFamilies", {})
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_reflection_can_be_switched_off(tmp_path_factory: pytest.TempPathFactory) -> None:
    with (
        running(tmp_path_factory.mktemp("quiet"), reflection=False) as (server, _),
        grpc.insecure_channel(server.address) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        ProtoReflectionDescriptorDatabase(channel).get_services()
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def check(channel: grpc.Channel, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status


def test_health_is_checked_without_a_token(channel: grpc.Channel) -> None:
    for service in ("", JOBS, "family/faulty", "family/steady"):
        eventually(lambda service=service: check(channel, service) == SERVING)  # type: ignore[misc]
    with pytest.raises(grpc.RpcError) as caught:
        check(channel, "nowhere")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


class Watcher:
    """A health watch, read in a thread."""

    def __init__(self, channel: grpc.Channel, service: str) -> None:
        self.seen: queue.Queue[int] = queue.Queue()
        request = health_pb2.HealthCheckRequest(service=service)
        self.stream = health_pb2_grpc.HealthStub(channel).Watch(request)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        try:
            for answer in self.stream:
                self.seen.put(answer.status)
        except grpc.RpcError:
            return

    def next(self) -> int:
        return self.seen.get(timeout=10)


def test_a_watch_of_what_is_not_there_stays_open(channel: grpc.Channel) -> None:
    watcher = Watcher(channel, "nowhere")
    assert watcher.next() == UNKNOWN
    assert watcher.stream.is_active()
    watcher.stream.cancel()


def test_every_watcher_is_told_of_the_drain(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Also one that stays when another has left."""
    with (
        running(tmp_path_factory.mktemp("drained"), drain_s=3.0) as (server, client),
        grpc.insecure_channel(server.address) as channel,
    ):
        eventually(lambda: check(channel, JOBS) == SERVING)
        client.create(family="steady", params={"step_s": 60})  # the drain waits for it
        watchers = [Watcher(channel, service) for service in ("", "", JOBS)]
        assert [watcher.next() for watcher in watchers] == [SERVING] * 3
        watchers[0].stream.cancel()
        assert server.process is not None
        server.process.terminate()
        assert [watcher.next() for watcher in watchers[1:]] == [NOT_SERVING] * 2
        with pytest.raises(Exception, match="DRAINING"):
            client.create(family="steady")
        assert server.process.wait(20) == 0
