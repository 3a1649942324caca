"""The caller's trace context reaches the logs, from the call to the last frame."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wancore_client import Client
from wancore_proto.v1 import frames_pb2, job_pb2, job_service_pb2
from wancore_server.tracing import Trace, parse_trace, read_trace

from tests.server.harness import Server, eventually


def lines(server: Server, trace_id: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [entry for entry in found if entry.get("trace_id") == trace_id]


def generate(client: Client, traceparent: str, **params: Any) -> str:
    """Runs a job with a kept encoding under a trace; its name."""
    spec = job_pb2.JobSpec(family="families/faulty")
    spec.shape.frame_count = 4
    spec.delivery.encodings.append(frames_pb2.ENCODING_PNG)
    spec.params.update(params)
    metadata = (*client.connection.metadata, ("traceparent", traceparent))
    stream: Iterator[job_pb2.JobEvent] = client.job_streams.Generate(
        job_service_pb2.GenerateRequest(spec=spec), metadata=metadata
    )
    events = list(stream)
    return events[0].header.job.removeprefix("jobs/")


def test_spans_of_a_job(server: Server, client: Client) -> None:
    trace_id, caller = secrets.token_hex(16), secrets.token_hex(8)
    job = generate(client, f"00-{trace_id}-{caller}-01", fault="print")
    eventually(lambda: "JobService/Generate" in {e.get("span") for e in lines(server, trace_id)})
    found = lines(server, trace_id)
    spans = {entry["span"]: entry for entry in found if "span" in entry}
    assert {
        "JobService/Generate", "rules", "queue", "encoding_inputs", "encoding_text", "loading_model",
        "denoising", "decoding", "encode", "send",
    } <= set(spans)  # fmt: skip
    call = spans.pop("JobService/Generate")
    assert call["parent_id"] == caller and call["code"] == "OK"
    for span in spans.values():
        assert span["parent_id"] == call["span_id"] and 0 <= span["seconds"] <= call["seconds"]
        assert call["start"] - 0.01 <= span["start"]
    assert {spans[name]["job"] for name in ("queue", "denoising", "encode", "send")} == {job}
    printed = [entry for entry in found if "xxx" in entry["message"]]
    assert printed and {(e["job"], e["attempt"], e["worker"]) for e in printed} == {(job, 1, "0")}


def test_a_caller_that_does_not_sample_gets_ids_without_spans(server: Server, client: Client) -> None:
    trace_id = secrets.token_hex(16)
    generate(client, f"00-{trace_id}-{secrets.token_hex(8)}-00", fault="print")
    eventually(lambda: bool(lines(server, trace_id)))
    assert not any("span" in entry for entry in lines(server, trace_id))


@pytest.mark.parametrize(
    "value",
    ["", "00", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01", f"ff-{'1' * 32}-{'1' * 16}-01",
     f"00-{'A' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'1' * 16}-01-more", f"00-{'1' * 31}-{'1' * 16}-01"],
)  # fmt: skip
def test_what_is_no_trace_context_is_passed_over(client: Client, value: str) -> None:
    assert read_trace({"traceparent": value}) is None
    assert generate(client, value or "-")


def test_a_later_version_may_say_more() -> None:
    trace = read_trace({"traceparent": f"01-{'1' * 32}-{'2' * 16}-03-more"})
    assert trace is not None and (trace.trace_id, trace.span_id, trace.sampled) == ("1" * 32, "2" * 16, True)


def test_a_trace_goes_on_after_a_restart(tmp_path: Path) -> None:
    """The attempt that a killed server left is made again under the trace of the call that made the job."""
    trace_id = secrets.token_hex(16)
    server = Server(tmp_path).start()
    try:
        with server.client() as client:
            server.ready(client)
            spec = job_pb2.JobSpec(family="families/faulty")
            spec.params.update({"fault": "sleep", "hold_s": 600, "times": 1, "key": "restart"})
            request = job_service_pb2.CreateJobRequest(spec=spec)
            metadata = (
                *client.connection.metadata, ("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01")
            )  # fmt: skip
            job = client.job_calls.CreateJob(request, metadata=metadata).name
            eventually(lambda: client.job(job).state == job_pb2.Job.STATE_RUNNING)
            eventually(lambda: any("span_id" in entry for entry in lines(server, trace_id)))
        server.kill()
        before = len(lines(server, trace_id))
        server.start()
        with server.client() as client:
            client.watch(job).wait()
            eventually(lambda: "decoding" in {e.get("span") for e in lines(server, trace_id)[before:]})
        found = lines(server, trace_id)
        (call,) = [entry for entry in found if entry.get("span") == "JobService/CreateJob"]
        later = {e["span"]: e for e in found[before:] if "span" in e}
        assert {"queue", "denoising", "decoding"} <= set(later)
        for entry in later.values():
            assert (entry["parent_id"], entry["attempt"]) == (call["span_id"], 2)
            assert entry["job"] == job.removeprefix("jobs/")
    finally:
        server.end()


@pytest.mark.parametrize("sampled", [False, True])
def test_a_trace_is_written_as_it_is_read(sampled: bool) -> None:
    trace = Trace(secrets.token_hex(16), secrets.token_hex(8), sampled)
    assert parse_trace(trace.header()) == trace and parse_trace("") is None
