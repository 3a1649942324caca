"""Thousands of random and malformed requests against a real server: every reply is a proper one.

`WANCORE_FUZZ_SCALE` multiplies how many.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import jsonschema
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.struct_pb2 import Struct
from google.rpc import code_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wancore_client import Client
from wancore_proto.v1 import frames_pb2, job_pb2, job_service_pb2

from tests.server.fuzzing.messages import (
    METHODS,
    VALUES,
    Pools,
    field_bytes,
    mutated,
    nested_struct,
    of_method,
    representable,
    structs,
    unknown_fields,
)
from tests.server.fuzzing.schemas import values
from tests.server.fuzzing.town import MIB, Reply, Town
from tests.server.harness import running

SCALE = int(os.environ.get("WANCORE_FUZZ_SCALE", "1"))
BATCH = 8  # requests in an example: drawing one costs more than sending it
DRAIN = "wancore.v1.AdminService.Drain"
CREATE = "wancore.v1.JobService/CreateJob"
PLUGINS = ("faulty", "wan", "guidance", "caching", "solvers")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("server")
    with (
        running(folder, plugins=PLUGINS, queued_per_caller=0, devices=["cpu", "cpu"]) as (server, client),
        grpc.insecure_channel(server.address) as channel,
    ):
        yield Town(server, client, channel)


@pytest.fixture(scope="module")
def pools(town: Town, client_jobs: list[str]) -> Pools:
    families = [family.name for family in town.client.families()]
    return {
        "name": [*client_jobs, *(f"{job}/artifacts/0" for job in client_jobs), *families, "workers/9"],
        "family": families,
        "model": ["", "models/none"],
        "lora": ["loras/none"],
        "worker": ["workers/9"],
        "request_id": ["", "6f0d8a4c-3a5b-4c6d-8e7f-90a1b2c3d4e5"],
        "inputs": [f"assets/sha256-{'0' * 64}"],
        "names": [f"assets/sha256-{'1' * 64}"],
        "page_token": ["", "MA==", "MTA="],
        "solver": ["", "euler"],
        "schedule": ["", "static_standard"],
        "caller": ["local"],
    }


@pytest.fixture(scope="module")
def client_jobs(town: Town) -> list[str]:
    """Jobs to read, two that ended and one that goes on."""
    ended = [town.client.generate(family="steady", frames=k + 2, seed=k) for k in range(2)]
    for generation in ended:
        generation.wait()
    going = town.client.create(family="steady", steps=1000, params={"step_s": 1})
    return [*(generation.job for generation in ended), going.name]


def run(examples: int, test: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
    """`test` as a property, all examples against one server."""
    chosen = settings(
        max_examples=examples * SCALE,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )
    chosen(given(**strategies)(test))()


def path_of(name: str) -> str:
    service, _, method = name.rpartition(".")
    return f"{service}/{method}"


def caller_for(town: Town, name: str) -> str:
    """Who asks: drains and jobs of any size are for the one who is then refused."""
    return town.other if name == DRAIN or name.endswith((".CreateJob", ".Generate")) else town.token


@st.composite
def requests(draw: st.DrawFn, method: MethodDescriptor, pools: Pools) -> bytes:
    """Messages of the right form, some with fields that nobody knows."""
    data = draw(of_method(method, pools)).SerializeToString()
    return data + draw(unknown_fields()) if draw(st.integers(0, 3)) == 0 else data


@st.composite
def broken(draw: st.DrawFn, method: MethodDescriptor, pools: Pools) -> list[bytes]:
    """Messages that were bitten, and bytes that never were one."""
    data = draw(of_method(method, pools)).SerializeToString()
    one = st.one_of(mutated(data), mutated(data), st.binary(max_size=64), st.just(data))
    return draw(st.lists(one, min_size=0 if method.client_streaming else 1, max_size=2))


def fire(
    town: Town, examples: int, make: Callable[[MethodDescriptor], st.SearchStrategy[list[bytes]]]
) -> int:
    """Sends batches of calls to each method in turn; how many replies were checked."""
    sent = 0
    for method in METHODS:
        path, token = path_of(method.full_name), caller_for(town, method.full_name)
        call = functools.partial(town.send, path, token=token, timeout=10, most=20)

        def test(batch: list[list[bytes]]) -> None:
            nonlocal sent
            for messages in batch:
                town.check(call(*messages))  # noqa: B023  (run before the next method is taken)
                sent += 1

        run(examples, test, batch=st.lists(make(method), min_size=1, max_size=BATCH))
    return sent


def test_every_method_by_its_descriptor(town: Town, pools: Pools) -> None:
    with town.unharmed():
        sent = fire(town, 10, lambda method: requests(method, pools).map(lambda data: [data]))
    assert sent > 700 * SCALE


def test_bytes_that_are_nearly_a_request(town: Town, pools: Pools) -> None:
    with town.unharmed():
        sent = fire(town, 12, lambda method: broken(method, pools))
    assert sent > 900 * SCALE


def schemas(client: Client) -> list[tuple[str, str, dict[str, Any]]]:
    """Where parameters go, whose they are, their schema."""
    families = [
        ("params", family.name, json.loads(client.family(family.name).parameter_schema))
        for family in client.families()
    ]
    methods = [("method", m.name, json.loads(m.parameter_schema)) for m in client.server_info().methods]
    return families + methods


def checked_job(town: Town, place: str, name: str, params: Struct) -> Reply:
    spec = job_pb2.JobSpec(family="families/steady")
    if place == "params":
        spec.family = name
        spec.params.CopyFrom(params)
    else:
        spec.sampling.methods.add(name=name).params.CopyFrom(params)
    request = job_service_pb2.CreateJobRequest(spec=spec, validate_only=True)
    return town.send(CREATE, request.SerializeToString())


def test_parameters_are_judged_as_their_schema_judges(town: Town) -> None:
    found = schemas(town.client)
    assert len(found) > 10
    verdicts: dict[bool, int] = {True: 0, False: 0}

    @st.composite
    def case(draw: st.DrawFn) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
        place, name, schema = draw(st.sampled_from(found))
        value = draw(values(schema))
        known = sorted(schema.get("properties", {}))
        for _ in range(draw(st.integers(0, 2))):
            key = draw(st.sampled_from(known) if known and draw(st.booleans()) else st.text(max_size=8))
            value[key] = draw(VALUES)
        return place, name, schema, value

    def test(case: tuple[str, str, dict[str, Any], dict[str, Any]]) -> None:
        place, name, schema, value = case
        if not representable(value):
            return
        params = Struct()
        params.update(value)
        good = jsonschema.Draft202012Validator(schema).is_valid(value)
        reply = checked_job(town, place, name, params)
        town.check(reply)
        verdicts[good] += 1
        blamed = {field for field in reply.fields if "params" in field}  # beside what the engine misses
        assert bool(blamed) != good and reply.code in (code_pb2.OK, code_pb2.INVALID_ARGUMENT), (value, reply)

    with town.unharmed():
        run(200, test, case=case())
    assert min(verdicts.values()) > 20, verdicts


def test_structs_of_any_kind(town: Town) -> None:
    """NaN, infinities, control characters, values of the wrong kind."""

    def test(batch: list[Struct]) -> None:
        for params in batch:
            town.check(checked_job(town, "params", "families/steady", params))

    with town.unharmed():
        run(40, test, batch=st.lists(structs(), min_size=1, max_size=BATCH))


@pytest.mark.parametrize("depth", [1, 8, 9, 30, 99, 1000, 10_000])
def test_nesting(town: Town, depth: int) -> None:
    spec = field_bytes(1, 2, b"families/steady") + field_bytes(7, 2, nested_struct(depth))
    with town.unharmed():
        reply = town.send(CREATE, field_bytes(1, 2, spec) + b"\x18\x01")
        town.check(reply)
    assert reply.code == code_pb2.INVALID_ARGUMENT
    assert reply.reason == ("INVALID_FIELD" if depth <= 8 or depth > 30 else "LIMIT_EXCEEDED")


@pytest.mark.parametrize("size", [2**16, 2**18, 2**20, 2**22 - 100, 2**22 + 1, 2**24])
def test_big_messages(town: Town, size: int) -> None:
    """One long unknown field. What a connection may hold is not given back at once."""
    data = field_bytes(15_000, 2, bytes(size))
    methods = [m for m in METHODS if m.name in ("CreateJob", "GetJob", "Generate", "UploadAsset", "ListJobs")]
    with town.unharmed(growth=200 * MIB):
        for _ in range(2):
            for method in methods:
                reply = town.send(path_of(method.full_name), data, token=town.other)
                town.check(reply)
                assert size < 2**18 or reply.code != code_pb2.OK


@pytest.mark.parametrize("count", [0, 2, 50])
def test_another_number_of_messages(town: Town, count: int) -> None:
    """Where a method wants one. Without any, gRPC waits for it until the caller's deadline."""
    with town.unharmed():
        for method in METHODS:
            if method.full_name != DRAIN:
                path, timeout = path_of(method.full_name), 10.0 if count else 0.05
                reply = town.send(path, *[b""] * count, token=town.other, timeout=timeout)
                assert count == 0 or reply.code != code_pb2.DEADLINE_EXCEEDED
                if reply.code != code_pb2.DEADLINE_EXCEEDED:
                    town.check(reply)


METADATA: dict[str, list[tuple[str, str | bytes]]] = {
    "none": [],
    "twice": [("authorization", "Bearer x"), ("authorization", "Bearer y")],
    "empty": [("authorization", "")],
    "other-kind": [("authorization", "Basic eDp5")],
    "long": [("authorization", "Bearer " + "x" * 7000)],
    "too-long": [("authorization", "Bearer " + "x" * 30_000)],
    "many": [(f"x-{i}", "v" * 50) for i in range(100)],
    "binary": [("x-bin", bytes(range(256)))],
    "trace": [("traceparent", "00-zz-zz-zz"), ("grpc-timeout-x", "1")],
}


@pytest.mark.parametrize("what", METADATA)
def test_metadata(town: Town, what: str) -> None:
    with town.unharmed():
        for method in ("/wancore.v1.JobService/ListJobs", "/wancore.v1.Nowhere/Nothing", "/", "/wancore.v1."):
            call = town.channel.unary_unary(method)
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", metadata=METADATA[what], timeout=10)
            refused = (
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.UNIMPLEMENTED,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
            )
            assert caught.value.code() in refused


@st.composite
def small_jobs(draw: st.DrawFn) -> job_pb2.JobSpec:
    """Valid ones that take little time."""
    side = st.integers(8, 32).map(lambda n: 2 * n)
    encodings = [value for value in frames_pb2.Encoding.values() if value]
    spec = job_pb2.JobSpec(
        family="families/steady",
        prompt=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=30)),
        shape=frames_pb2.VideoShape(width=draw(side), height=draw(side), frame_count=draw(st.integers(1, 9))),
        sampling=job_pb2.Sampling(steps=draw(st.integers(1, 5))),
        delivery=job_pb2.Delivery(
            encodings=draw(st.lists(st.sampled_from(encodings), unique=True, max_size=3)),
            previews=draw(st.booleans()),
        ),
        priority=draw(st.sampled_from(list(job_pb2.Priority.values()))),
        on_disconnect=draw(st.sampled_from(list(job_pb2.OnDisconnect.values()))),
    )
    if draw(st.booleans()):
        spec.shape.frame_rate.numerator = draw(st.integers(1, 240))
        spec.shape.frame_rate.denominator = (
            draw(st.integers(1, 3)) if spec.shape.frame_rate.numerator > 3 else 1
        )
    if draw(st.booleans()):
        spec.seed = draw(st.one_of(st.integers(0, 2**40), st.sampled_from([0, 2**40])))
    spec.params.update({"block_frames": draw(st.integers(1, 5)), "hidden_count": draw(st.booleans())})
    return spec


def test_valid_jobs_end_with_every_frame(town: Town) -> None:
    def test(spec: job_pb2.JobSpec, encoding: int, mode: int) -> None:
        view = job_service_pb2.View(encoding=encoding, mode=mode)  # type: ignore[arg-type]
        request = job_service_pb2.GenerateRequest(spec=spec, view=view)
        reply = town.send(
            "wancore.v1.JobService/Generate", request.SerializeToString(), timeout=30, most=1000
        )
        town.check(reply)
        assert reply.code == code_pb2.OK, reply.text
        events = [job_pb2.JobEvent.FromString(data) for data in reply.messages]
        kinds = [event.WhichOneof("event") for event in events]
        assert kinds[0] == "header" and kinds[-1] == "result" and kinds.count("result") == 1
        assert events[-1].result.state == job_pb2.Job.STATE_SUCCEEDED, events[-1].result
        assert events[-1].result.frame_count == spec.shape.frame_count
        shown = sum(e.frame.part == 0 for e in events if e.WhichOneof("event") == "frame")
        shown += sum(e.fragment.frame_count for e in events if e.WhichOneof("event") == "fragment")
        skipped = sum(e.skipped.count for e in events if e.WhichOneof("event") == "skipped")
        assert shown + skipped == spec.shape.frame_count
        assert mode == job_service_pb2.DELIVERY_MODE_LATEST or not skipped

    with town.unharmed():
        run(
            30,
            test,
            spec=small_jobs(),
            encoding=st.sampled_from(list(frames_pb2.Encoding.values())),
            mode=st.sampled_from(list(job_service_pb2.DeliveryMode.values())),
        )
