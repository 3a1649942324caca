"""Fault 30: random bytes and random messages, to every method."""

from __future__ import annotations

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wancore_client import Client
from wancore_client.errors import ApiError

from tests.server.harness import Server
from tests.server.rawcalls import METHODS, raw_call

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
