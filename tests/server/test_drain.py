"""Fault 35: the server is asked to end (with sessions: `sessions/test_ends.py`)."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from wancore_client import ConnectionLost, Unavailable
from wancore_proto.v1 import job_pb2

from tests.server.harness import DEFAULTS, Server, eventually, timing
from tests.server.stored import check_store, no_orphans

State = job_pb2.Job.State


def test_drain_finishes_what_runs(tmp_path: Path) -> None:
    """Fault 35."""
    server = Server(tmp_path).start()
    try:
        with server.client() as client:
            server.ready(client)
            generation = client.generate(family="faulty", steps=10, frames=4, params={"step_s": 0.1})
            events = iter(generation.events)
            while generation.progress.step < 2:
                generation.take(next(events))
            waiting = client.create(family="faulty")
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises((Unavailable, ConnectionLost)):
                for _ in range(100):
                    client.call(client.job_streams.CreateJob, request_for("faulty"))
                    time.sleep(0.01)
            for event in events:
                generation.take(event)
            assert generation.result is not None and generation.result.state == State.STATE_SUCCEEDED
            assert server.process.wait(10) == 0
        states = check_store(server)
        assert states[waiting.name.removeprefix("jobs/")] == State.STATE_QUEUED
    finally:
        server.end()


@pytest.mark.parametrize("at", ["loading", "denoising"])
def test_drain_puts_back_what_takes_too_long(tmp_path: Path, at: str) -> None:
    """Fault 35: the limit passes; the job waits for the next server, which finishes it."""
    server = Server(tmp_path, drain_s=0.5)
    server.start()
    try:
        with server.client() as client:
            server.ready(client)
            params = {"fault": "sleep", "at": at, "hold_s": 600, "times": 1, "key": f"drain-{at}"}
            job = client.create(family="faulty", params=params)
            eventually(lambda: client.job(job.name).state == State.STATE_RUNNING)
            pids = {p.pid for p in server.children()}
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 3 * (
            (timing("drain_s") if DEFAULTS else 0.5) + 2.5
        )  # the limit, and what ending takes
        assert no_orphans(pids)
        assert check_store(server)[job.name.removeprefix("jobs/")] in (
            State.STATE_QUEUED,
            State.STATE_RUNNING,
        )
        server.start()
        with server.client() as client:
            assert client.watch(job.name).wait().state == State.STATE_SUCCEEDED
    finally:
        server.end()


def request_for(family: str) -> Any:
    from wancore_proto.v1 import job_service_pb2

    return job_service_pb2.CreateJobRequest(spec=job_pb2.JobSpec(family=f"families/{family}"))
