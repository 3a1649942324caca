"""The API: stubs fresh, every element explained, nothing released ever broken; fault 37."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from wancore_client import Client

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from proto_compatibility import breaks  # noqa: E402
from release_proto import RELEASED, described  # noqa: E402


def released() -> FileDescriptorSet:
    return FileDescriptorSet.FromString(RELEASED.read_bytes())


def test_stubs_are_what_the_protos_say() -> None:
    subprocess.run([sys.executable, ROOT / "tools/make_stubs.py", "--check"], check=True)


def test_nothing_released_is_broken() -> None:
    assert breaks(released(), described()) == []


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_every_element_has_a_comment(version: str) -> None:
    for file in described(with_comments=True, version=version).file:
        explained = {tuple(at.path) for at in file.source_code_info.location if at.leading_comments.strip()}
        for path, name in elements(file):
            assert path in explained, f"{file.name}: {name} has no comment"


def elements(file: FileDescriptorProto) -> list[tuple[tuple[int, ...], str]]:
    """Paths (as in source_code_info) of messages, fields, enums, values, services and methods."""
    found: list[tuple[tuple[int, ...], str]] = []

    def enum(path: tuple[int, ...], name: str, described: object) -> None:
        found.append((path, name))
        found.extend(((*path, 2, i), f"{name}.{v.name}") for i, v in enumerate(described.value))  # type: ignore[attr-defined]

    def message(path: tuple[int, ...], name: str, described: object) -> None:
        if described.options.map_entry:  # type: ignore[attr-defined]
            return
        found.append((path, name))
        found.extend(((*path, 2, i), f"{name}.{f.name}") for i, f in enumerate(described.field))  # type: ignore[attr-defined]
        for i, nested in enumerate(described.nested_type):  # type: ignore[attr-defined]
            message((*path, 3, i), f"{name}.{nested.name}", nested)
        for i, inner in enumerate(described.enum_type):  # type: ignore[attr-defined]
            enum((*path, 4, i), f"{name}.{inner.name}", inner)

    for i, each in enumerate(file.message_type):
        message((4, i), each.name, each)
    for i, each in enumerate(file.enum_type):  # type: ignore[assignment]
        enum((5, i), each.name, each)
    for i, service in enumerate(file.service):
        found.append(((6, i), service.name))
        found.extend(((6, i, 2, k), f"{service.name}.{m.name}") for k, m in enumerate(service.method))
    return found


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_enums_start_unspecified_and_units_end_names(version: str) -> None:
    for file in described(version=version).file:
        assert file.package == f"wancore.{version}"
        enums = list(file.enum_type)
        for message in file.message_type:
            enums += message.enum_type
        for enum in enums:
            assert enum.value[0].number == 0 and enum.value[0].name.endswith("_UNSPECIFIED")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m.field.pop(0), "removed without reserving"),
        (lambda m: setattr(m.field[0], "number", 99), "removed without reserving"),
        (lambda m: setattr(m.field[0], "name", "other"), "name was"),
        (lambda m: setattr(m.field[0], "type", FieldDescriptorProto.TYPE_INT64), "type was"),
    ],
)
def test_the_checker_sees_breaks(change: object, told: str) -> None:
    new = released()
    file = next(f for f in new.file if f.name.endswith("job.proto"))
    change(next(m for m in file.message_type if m.name == "Delivery"))  # type: ignore[operator]
    assert any(told in found for found in breaks(released(), new))


def old_pool() -> descriptor_pool.DescriptorPool:
    """The released API in a pool of its own, as an old client has it."""
    from google.protobuf import any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2
    from google.rpc import status_pb2

    pool = descriptor_pool.DescriptorPool()
    for module in (any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, status_pb2):
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        pool.Add(file)
    waiting = list(released().file)
    while waiting:
        for file in list(waiting):
            if not any(dependency == other.name for dependency in file.dependency for other in waiting):
                pool.Add(file)
                waiting.remove(file)
    return pool


def test_an_old_client_reads_a_new_server(client: Client) -> None:
    """Fault 37, one way: requests and events through the descriptors of the first release."""
    pool = old_pool()
    Request = message_factory.GetMessageClass(pool.FindMessageTypeByName("wancore.v1.GenerateRequest"))
    Event = message_factory.GetMessageClass(pool.FindMessageTypeByName("wancore.v1.JobEvent"))
    request = Request()
    request.spec.family, request.spec.shape.frame_count = "families/faulty", 3
    call = client.streams.unary_stream(
        "/wancore.v1.JobService/Generate", lambda m: m.SerializeToString(), Event.FromString
    )
    kinds = [e.WhichOneof("event") for e in call(request, metadata=client.connection.metadata)]
    assert kinds[0] == "header" and kinds[-1] == "result" and kinds.count("frame") == 3


def test_a_new_client_reads_events_it_does_not_know() -> None:
    """Fault 37, the other way: an event of a later version is no event, and breaks nothing."""
    from wancore_client.generation import Generation
    from wancore_proto.v1 import job_pb2

    unknown = job_pb2.JobEvent.FromString(b"\x08\x05" + b"\xca\x3e\x03\x0a\x01x")  # field 1001
    generation = Generation(iter(()), lambda name: job_pb2.Job())  # type: ignore[arg-type]
    assert unknown.sequence == 5 and unknown.WhichOneof("event") is None
    assert generation.take(unknown) is None


def test_reflection_describes_every_service(client: Client) -> None:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    stub = reflection_pb2_grpc.ServerReflectionStub(client.calls)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="wancore.v1.JobService"),
    ]
    answers = list(stub.ServerReflectionInfo(iter(requests)))
    names = {service.name for service in answers[0].list_services_response.service}
    assert {f"wancore.v1.{n}Service" for n in ("Job", "Asset", "Catalog", "Admin")} <= names
    assert answers[1].file_descriptor_response.file_descriptor_proto


def test_health_is_open_to_all(client: Client) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    stub = health_pb2_grpc.HealthStub(client.calls)
    assert stub.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="wancore.v1.JobService"))
    assert next(watch).status in (1, 2)
    watch.cancel()
    with pytest.raises(grpc.RpcError):
        stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
