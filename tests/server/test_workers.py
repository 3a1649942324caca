"""Faults 10, 12, 15 to 21 and 41: workers that crash, hang, forget or are told to stop."""

from __future__ import annotations

import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from wancore_client import Client, JobFailed
from wancore_proto.v1 import admin_service_pb2 as admin
from wancore_proto.v1 import admin_service_pb2_grpc, job_pb2

from tests.server.harness import DEFAULTS, PATIENCE, Server, eventually, health, running, timing

State = job_pb2.Job.State
SOON_S = 3 * 10 * timing("worker_beat_s")  # three times the 10 s, on this clock, in which health is true
STAGES = ["start", "inputs", "text", "loading", "denoising", "decoding"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running(tmp_path_factory.mktemp("workers"), quarantine_crashes=1000) as pair:
        yield pair


def workers(client: Client) -> list[admin.Worker]:
    stub = admin_service_pb2_grpc.AdminServiceStub(client.calls)
    return list(client.call(stub.ListWorkers, admin.ListWorkersRequest()).workers)


def next_job_succeeds(client: Client) -> None:
    assert client.generate(family="steady", frames=2).wait().state == State.STATE_SUCCEEDED


LOST = [("kill", stage) for stage in STAGES] + [
    ("segfault", "start"), ("segfault", "denoising"), ("exit", "loading"), ("exit", "decoding")
]  # fmt: skip


@pytest.mark.parametrize(("fault", "stage"), LOST)
def test_a_lost_worker_means_one_more_attempt(client: Client, fault: str, stage: str) -> None:
    """Fault 15."""
    key = f"once-{fault}-{stage}"
    starts: list[int] = []

    def event(e: job_pb2.JobEvent) -> None:
        if e.WhichOneof("event") == "attempt_started":
            starts.append(e.attempt_started.attempt)

    generation = client.generate(
        family="faulty",
        frames=6,
        on_event=event,
        params={"fault": fault, "at": stage, "times": 1, "key": key},
    )
    frames = [(generation.attempt, frame.index) for frame in generation.frames()]
    assert starts == [1, 2] and generation.attempt == 2
    assert [index for attempt, index in frames if attempt == 2] == list(range(6))
    eventually(lambda: health(client, "wancore.v1.JobService"), SOON_S)


def test_health_tells_of_lost_and_frozen_workers(tmp_path: Path) -> None:
    """Fault 41 with 15 and 18: false while there is no worker, true again with the next one; the gateway
    itself is well all the time."""
    with running(tmp_path, restart_first_s=1.2, restart_most_s=1.2) as (server, client):
        for sign in (signal.SIGKILL, signal.SIGSTOP):
            eventually(lambda: health(client, "wancore.v1.JobService"))
            (worker,) = server.workers()
            worker.send_signal(sign)
            eventually(
                lambda: not health(client, "wancore.v1.JobService"), timing("worker_silence_s") + 3 * 0.5
            )
            assert health(client, "")
            eventually(
                lambda: health(client, "wancore.v1.JobService"), timing("restart_first_s") + 1.2 + SOON_S
            )
            assert not worker.is_running()


def test_a_poison_job_fails_and_harms_no_other(client: Client) -> None:
    """Faults 15 and 16: two workers lost."""
    poison = client.generate(family="faulty", params={"fault": "segfault"})
    other = client.create(family="steady", frames=2)
    with pytest.raises(JobFailed) as caught:
        poison.wait()
    assert caught.value.reason == "WORKER_CRASHED" and client.job(poison.job).attempt == 2
    assert client.watch(other.name).wait().state == State.STATE_SUCCEEDED


def test_a_plugin_that_ignores_cancel_is_killed(server: Server, client: Client) -> None:
    """Faults 12 and 41."""
    job = client.create(family="faulty", params={"fault": "ignore_cancel"})
    eventually(lambda: client.job(job.name).stage == job_pb2.STAGE_LOADING_MODEL)
    waiting = client.create(family="steady", frames=1)
    started = time.monotonic()
    assert client.cancel(job.name).state == State.STATE_CANCELLING
    eventually(lambda: client.job(job.name).state == State.STATE_CANCELLED)
    graces = timing("cancel_grace_s") + timing("terminate_grace_s")
    assert timing("cancel_grace_s") < time.monotonic() - started < 3 * graces + 1
    assert client.watch(waiting.name).wait().state == State.STATE_SUCCEEDED
    eventually(lambda: health(client, "wancore.v1.JobService"))


def test_a_worker_that_holds_the_interpreter_is_killed(client: Client) -> None:
    """Fault 18."""
    started = time.monotonic()
    generation = client.generate(
        family="faulty", params={"fault": "hold", "at": "decoding", "times": 1, "key": "hold"}
    )
    assert generation.wait().state == State.STATE_SUCCEEDED and generation.attempt == 2
    assert time.monotonic() - started < 3 * timing("worker_silence_s") + 3
    assert any(w.reason == "SILENT" for w in generation.warnings)


def test_a_long_load_is_no_hang(client: Client) -> None:
    """Faults 18 and 41: native code may hold the interpreter while loading, and health stays true."""
    eventually(lambda: health(client, "wancore.v1.JobService"))
    generation = client.generate(
        family="faulty",
        params={
            "fault": "hold",
            "at": "loading",
            "times": 1,
            "key": "load",
            "hold_s": 2 * timing("worker_silence_s"),
        },
    )
    healthy = []
    for event in generation.events:
        generation.take(event)
        healthy.append(health(client, "wancore.v1.JobService"))
    assert generation.attempt == 1 and all(healthy)
    generation.check()


def test_out_of_memory_is_a_typed_failure(client: Client) -> None:
    """Fault 19."""
    with pytest.raises(JobFailed) as caught:
        client.generate(family="faulty", params={"fault": "oom"}).wait()
    assert caught.value.reason == "GPU_OUT_OF_MEMORY" and "would_fit" in caught.value.metadata
    next_job = client.generate(family="steady", frames=2)
    assert next_job.wait().state == State.STATE_SUCCEEDED
    assert next_job.attempt == 1 and not next_job.warnings  # it came while memory was being freed


def test_what_a_plugin_prints_is_no_trouble(client: Client) -> None:
    assert client.generate(family="faulty", params={"fault": "print"}).wait().state == State.STATE_SUCCEEDED


def test_what_a_plugin_forks_goes_with_the_worker(server: Server, client: Client) -> None:
    """And does not hide that the worker has gone."""
    client.generate(family="faulty", params={"fault": "fork", "times": 1, "key": "fork"}).wait()
    assert len(server.workers()) == 2
    started = time.monotonic()
    with pytest.raises(JobFailed):
        client.generate(family="faulty", params={"fault": "kill"}).wait()
    assert time.monotonic() - started < timing("worker_patience_s") / 2
    eventually(lambda: len(server.workers()) == 1)


@pytest.mark.parametrize("stage", ["inputs", "loading", "denoising", "decoding"])
def test_cancel_in_each_stage(client: Client, stage: str) -> None:
    """Fault 10, per stage; the states are in test_races.py."""
    generation = client.generate(
        family="faulty", frames=400, steps=100,
        params={"fault": "sleep", "at": stage, "hold_s": 0.1, "block_s": 0.01, "step_s": 0.001},
    )  # fmt: skip
    wanted = {
        "inputs": job_pb2.STAGE_ENCODING_INPUTS, "loading": job_pb2.STAGE_LOADING_MODEL,
        "denoising": job_pb2.STAGE_DENOISING, "decoding": job_pb2.STAGE_DECODING,
    }[stage]  # fmt: skip
    results = []
    for event in generation.events:
        generation.take(event)
        if generation.progress.stage == wanted and generation.job and generation.state == State.STATE_RUNNING:
            generation.cancel()
        if event.WhichOneof("event") == "result":
            results.append(event.result.state)
    assert results == [State.STATE_CANCELLED]


def test_a_worker_that_grows_is_replaced_between_jobs(tmp_path: Path) -> None:
    with running(tmp_path, recycle_least_bytes=40 * 2**20, recycle_growth=0.1) as (server, client):

        def leak(mib: int) -> None:
            generation = client.generate(family="steady", frames=2, params={"leak_mib": mib})
            assert generation.wait().state == State.STATE_SUCCEEDED and generation.attempt == 1

        leak(20)  # the level is what the first job leaves
        first = only_worker(server)
        leak(20)  # below what counts
        assert only_worker(server) == first
        leak(60)
        eventually(lambda: server.workers() and only_worker(server) != first)
        second = only_worker(server)
        leak(60)
        leak(1)
        assert only_worker(server) == second
        told = metrics(server)
        assert 'wancore_worker_restarts_total{reason="recycled"} 1.0' in told
        assert 'wancore_worker_memory_bytes{worker="0"}' in told and "wancore_gpu_memory_bytes{" not in told


def only_worker(server: Server) -> int:
    (worker,) = server.workers()
    return worker.pid


def metrics(server: Server) -> str:
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as answer:
        return str(answer.read().decode())


def test_max_run_duration(client: Client) -> None:
    with pytest.raises(JobFailed) as caught:
        client.generate(family="faulty", steps=1000, params={"step_s": 0.05}, max_seconds=1).wait()
    assert caught.value.reason == "MAX_RUN_DURATION"
    next_job_succeeds(client)


def test_a_stalled_attempt_is_stopped(tmp_path: Path) -> None:
    with running(tmp_path, watchdog_min_s=0.7) as (_, client):
        generation = client.generate(
            family="faulty",
            params={"fault": "sleep", "hold_s": 40 if not DEFAULTS else 400, "times": 1, "key": "stall"},
        )
        assert generation.wait().state == State.STATE_SUCCEEDED
        assert [w.reason for w in generation.warnings] == ["STALLED"]


def test_a_crash_loop_ends_in_quarantine_and_others_are_served(tmp_path: Path) -> None:
    """Faults 17 and 41."""
    from wancore_client import Unavailable

    crash = {"fault": "kill", "at": "start"}
    with running(tmp_path, quarantine_crashes=5) as (_, client):
        for _ in range(2):
            with pytest.raises(JobFailed):
                client.generate(family="faulty", params=crash).wait()
        third = client.create(family="faulty", params=crash)
        eventually(lambda: not health(client, "family/faulty"))
        assert client.job(third.name).state == State.STATE_QUEUED  # nothing is lost: it waits
        with pytest.raises(Unavailable) as caught:
            client.create(family="faulty")
        assert caught.value.reason == "NO_WORKER"
        next_job_succeeds(client)
        assert health(client, "family/steady")
        eventually(lambda: health(client, "wancore.v1.JobService"))
        assert list(workers(client)[0].quarantined_families) == ["families/faulty"]
        stub = admin_service_pb2_grpc.AdminServiceStub(client.calls)
        client.call(stub.RestartWorker, admin.RestartWorkerRequest(name="workers/0"))
        eventually(lambda: client.job(third.name).state == State.STATE_FAILED)
        eventually(lambda: health(client, "family/faulty"))


def test_one_lost_rank_restarts_the_gang(tmp_path: Path) -> None:
    """Fault 20."""
    with running(tmp_path, gang=2) as (server, client):
        eventually(lambda: len(server.workers()) == 2)
        generation = client.generate(family="faulty", steps=40, params={"step_s": 0.03})
        before: set[int] = set()
        for event in generation.events:
            generation.take(event)
            if generation.progress.step == 3 and not before:
                ranks = {p.pid: p.environ()["RANK"] for p in server.workers()}
                before = set(ranks)
                next(p for p in server.workers() if ranks[p.pid] == "1").send_signal(signal.SIGKILL)
        generation.check()
        assert generation.attempt == 2
        assert not before & {p.pid for p in server.workers()}


BAD_IMPORTS = {
    "crash": "import ctypes; ctypes.string_at(0)",
    "hang": "import time; time.sleep(600)",
    "prints": "print('x' * 1000000)",
    "forks": "import os, time\nif os.fork() == 0: time.sleep(600)",
    "raises": "raise RuntimeError('no')",
    "exits": "import os; os._exit(3)",
}


def test_plugins_that_misbehave_at_import_are_listed(tmp_path: Path) -> None:
    """Fault 21."""
    server = Server(tmp_path, plugins=("faulty", *BAD_IMPORTS), probe_s=3.0)
    for name, body in BAD_IMPORTS.items():
        info = server.site / f"wancore_bad_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: wancore-bad-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[wancore.plugins]\n{name} = wancore_bad_{name}\n")
        (server.site / f"wancore_bad_{name}.py").write_text(f"WANCORE_API = (1, 1)\n{body}\n")
    try:
        server.start()
        with server.client() as client:
            server.ready(client, 30 * PATIENCE)
            plugins = {p.entry_point: p for p in client.plugins()}
            Plugin = type(plugins["faulty"])
            assert plugins["faulty"].state == plugins["prints"].state == Plugin.STATE_LOADED
            for name in ("crash", "hang", "raises", "exits"):
                assert plugins[name].state == Plugin.STATE_BROKEN and plugins[name].problem
                assert "/" not in plugins[name].problem
            next_job_succeeds(client)
        assert server.stop() == 0
    finally:
        server.end()
