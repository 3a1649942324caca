"""The first request, end to end: a real server process, a real worker, a real socket."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from wancore_client import AsyncClient, Client, Frame, InvalidRequest, JobFailed, NotFound, Refused
from wancore_proto.v1 import job_pb2

from tests.server.faulty.wancore_faulty import picture
from tests.server.harness import Server


def test_frames_arrive_whole_and_in_order(client: Client) -> None:
    generation = client.generate("a ball", family="faulty", size=(64, 48), frames=10, seed=7)
    frames = list(generation.frames())
    assert [f.index for f in frames] == list(range(10))
    for frame in frames:
        assert np.array_equal(frame.pixels, picture(7, frame.index, 64, 48))
        assert not frame.pixels.flags.writeable
    assert frames[4].pts == pytest.approx(4 / 8)
    assert generation.result is not None and generation.result.frame_count == 10
    assert generation.header.format.frame_count == 10 and generation.header.seed == 7


def test_events_start_with_a_header_and_end_with_one_result(client: Client) -> None:
    events: list[job_pb2.JobEvent] = []
    client.generate(family="faulty", frames=3, on_event=events.append).wait()
    kinds = [e.WhichOneof("event") for e in events]
    assert kinds[0] == "header" and kinds[-1] == "result" and kinds.count("result") == 1
    sequences = [e.sequence for e in events if e.sequence]
    assert sequences == list(range(1, len(sequences) + 1))
    states = [e.state.state for e in events if e.WhichOneof("event") == "state"]
    S = job_pb2.Job.State
    assert states == [S.STATE_QUEUED, S.STATE_STARTING, S.STATE_RUNNING, S.STATE_SUCCEEDED]


def test_a_big_frame_comes_in_parts(client: Client) -> None:
    frames = list(client.generate(family="faulty", size=(1600, 1200), frames=2, seed=0).frames())
    assert len(frames) == 2
    assert np.array_equal(frames[1].pixels, picture(0, 1, 1600, 1200))


def test_asyncio(server: Server) -> None:
    async def run() -> list[int]:
        async with AsyncClient(server.address, server.token) as client:
            return [f.index async for f in client.generate(family="faulty", frames=5) if isinstance(f, Frame)]

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_every_wrong_field_is_named(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.create(family="faulty", size=(3, 48), params={"step_s": -1, "colour": "red"}, steps=5000)
    assert set(caught.value.fields) == {
        "spec.shape.width", "spec.sampling.steps", "spec.params.step_s", "spec.params.colour"
    }  # fmt: skip
    assert caught.value.reason == "INVALID_FIELD"


def test_unknown_family_and_job(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        client.create(family="nowhere")
    assert caught.value.reason == "FAMILY_UNKNOWN"
    with pytest.raises(NotFound):
        client.job("jobs/00000000-0000-4000-8000-000000000000")


def test_a_failed_job_is_a_result(client: Client) -> None:
    with pytest.raises(JobFailed) as caught:
        client.generate(family="faulty", params={"fault": "raise"}).wait()
    assert caught.value.reason == "PLUGIN_ERROR"
    assert caught.value.metadata["plugin"] == "wancore-faulty"


def test_introspection(client: Client) -> None:
    families = {f.name: f for f in client.families()}
    assert {"families/faulty", "families/steady"} <= set(families)
    assert not families["families/faulty"].parameter_schema
    family = client.family("faulty")
    assert "step_s" in family.parameter_schema and family.plugin == "plugins/wancore-faulty"
    assert {i.role for i in family.inputs} == {"image", "video", "tracks", "audio"}
    assert "frames.raw" in client.server_info().capabilities


def test_validate_only_queues_nothing(client: Client) -> None:
    before = len(list(client.jobs()))
    job = client.create(family="faulty", validate_only=True)
    assert job.name == "" and len(list(client.jobs())) == before


def test_same_request_id(client: Client) -> None:
    request_id = str(uuid.uuid4())
    first = client.create("one", family="faulty", request_id=request_id)
    assert client.create("one", family="faulty", request_id=request_id).name == first.name
    with pytest.raises(Refused) as caught:
        client.create("two", family="faulty", request_id=request_id)
    assert caught.value.reason == "REQUEST_ID_REUSED" and caught.value.metadata["job"] == first.name
    client.watch(first.name).wait()


def test_cancel(client: Client) -> None:
    from wancore_client import JobCancelled

    generation = client.generate(family="faulty", steps=1000, params={"step_s": 0.05})
    with pytest.raises(JobCancelled):
        for event in generation.events:
            generation.take(event)
            if generation.progress.step == 2:
                generation.cancel()
        generation.check()
    assert client.job(generation.job).state == job_pb2.Job.STATE_CANCELLED


def test_a_hundred_equal_calls_make_one_job(client: Client) -> None:
    """Fault 13."""
    request_id, before = str(uuid.uuid4()), len(list(client.jobs()))

    def call() -> str:
        return client.create("one", family="faulty", frames=1, request_id=request_id).name

    with ThreadPoolExecutor(100) as pool:
        names = {made.result() for made in [pool.submit(call) for _ in range(100)]}
    assert len(names) == 1 and len(list(client.jobs())) == before + 1


def test_the_command_says_that_no_server_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"  # free as soon as it is closed
    command = [Path(sys.executable).with_name("wancore-client"), "families", "--address", address]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert told.returncode == 1 and told.stderr.count("\n") == 1
    assert "no server can be reached" in told.stderr and "wancore serve" in told.stderr
