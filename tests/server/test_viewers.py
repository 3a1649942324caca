"""Faults 1 to 5: viewers that vanish, freeze, lose packets, read slowly, or are many."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from wancore_client import Client
from wancore_proto.v1 import job_pb2

from tests.server.harness import DEFAULTS, PATIENCE, Server, eventually, running, timing

State = job_pb2.Job.State
VIEWER = """
import sys, time
from wancore_client import Client
address, token, job, pause, out, silence = sys.argv[1:]
client = Client(address, token, silence_s=float(silence), patience_s=150)
with client, open(out, "w", buffering=1) as file:
    generation = client.watch(job)
    for frame in generation.frames():
        print(frame.index, frame.pixels[0, 0].tolist(), file=file)
        time.sleep(float(pause))
    print("end", generation.events.reconnects, file=file)
"""


SILENCE_S = 15.0 if DEFAULTS else 3.0  # the client's own is 15
OUTAGE_S = 60.0 if DEFAULTS else 6.0


class Viewer:
    """A client in a process of its own, so that it can be stopped like a game in a debugger."""

    def __init__(self, server: Server, job: str, folder: Path, pause: float = 0.0) -> None:
        self.out = folder / f"viewer-{time.monotonic_ns()}.txt"
        arguments = [server.address, server.token, job, str(pause), str(self.out), str(SILENCE_S)]
        command = [sys.executable, "-c", VIEWER, *arguments]
        self.process = subprocess.Popen(command, env=server.environment())

    @property
    def lines(self) -> list[str]:
        return self.out.read_text().splitlines() if self.out.exists() else []

    @property
    def indices(self) -> list[int]:
        return [int(line.split()[0]) for line in self.lines if not line.startswith("end")]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


def metric(server: Server, name: str) -> float:
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + " ", name + "{")))


def big_job(client: Client, frames: int = 40, block_s: float = 0.05) -> str:
    """A job of 0.9 MB frames: more than the transport holds in all."""
    params = {"block_s": block_s, "block_frames": 4}
    return client.create(family="faulty", size=(640, 480), frames=frames, params=params).name


@pytest.mark.parametrize("while_reading", [True, False])
def test_a_killed_client(server: Server, client: Client, tmp_path: Path, while_reading: bool) -> None:
    """Fault 1."""
    job = big_job(client, block_s=0.1) if while_reading else client.create(
        family="faulty", steps=10, params={"step_s": 0.2}
    ).name  # fmt: skip
    viewer = Viewer(server, job, tmp_path)
    try:
        eventually(lambda: metric(server, "wancore_viewers") == 1)
        if while_reading:
            eventually(lambda: len(viewer.lines) > 3)
        viewer.process.kill()
        started = time.monotonic()
        eventually(lambda: metric(server, "wancore_viewers") == 0, 3)
        assert time.monotonic() - started < 3
    finally:
        viewer.end()
    again = [frame.index for frame in client.watch(job).frames()]
    assert again == list(range(len(again))) and client.job(job).state == State.STATE_SUCCEEDED


def test_a_frozen_client(server: Server, client: Client, tmp_path: Path) -> None:
    """Fault 2: cut, without growing; and when it wakes it gets the rest, nothing twice."""
    job = big_job(client)
    viewer = Viewer(server, job, tmp_path, pause=0.05)
    assert server.process is not None
    try:
        eventually(lambda: len(viewer.lines) > 3)
        viewer.process.send_signal(signal.SIGSTOP)
        before, started = psutil.Process(server.process.pid).memory_info().rss, time.monotonic()
        eventually(lambda: metric(server, "wancore_viewers") == 0, 3 * (timing("viewer_stall_s") + 0.5))
        assert psutil.Process(server.process.pid).memory_info().rss - before < 60 * 2**20
        client.watch(job, frames=False).wait()
        assert time.monotonic() - started < 20 + 3 * timing("viewer_stall_s")
        viewer.process.send_signal(signal.SIGCONT)
        assert viewer.process.wait(30 * PATIENCE) == 0
    finally:
        viewer.end()
    assert viewer.indices == list(range(40)) and int(viewer.lines[-1].split()[1]) >= 1


def test_a_slow_reader_slows_nobody(server: Server, client: Client, tmp_path: Path) -> None:
    """Fault 4, ALL: the job is done long before the viewer, who gets every frame."""
    job = big_job(client, frames=24, block_s=0.02)
    viewer = Viewer(server, job, tmp_path, pause=0.12)
    try:
        assert client.watch(job, frames=False).wait().frame_count == 24
        assert viewer.process.poll() is None
        assert viewer.process.wait(30 * PATIENCE) == 0
    finally:
        viewer.end()
    assert viewer.indices == list(range(24))


def test_many_viewers_and_one_that_stalls(tmp_path: Path) -> None:
    """Fault 5: 64 viewers on few connections; the one that reads nothing is cut, the others get all."""
    with running(tmp_path, connection_streams=100) as (server, client):
        assert server.process is not None
        job = client.create(
            family="faulty", size=(640, 480), frames=16, steps=10, params={"step_s": 0.1, "block_frames": 2}
        ).name  # fmt: skip
        stalled = client.watch(job)
        first = iter(stalled)
        done: list[list[int]] = []

        def view() -> None:
            done.append([frame.index for frame in client.watch(job).frames()])

        threads = [threading.Thread(target=view) for _ in range(63)]
        before = psutil.Process(server.process.pid).memory_info().rss
        for thread in threads:
            thread.start()
        next(first)
        for thread in threads:
            thread.join(60)
        assert done == [list(range(16))] * 63
        grown = psutil.Process(server.process.pid).memory_info().rss - before
        assert grown < 64 * 8 * 2**20
        stalled.close()


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running(tmp_path_factory.mktemp("few"), max_viewers=2, log_prompts=True) as pair:
        yield pair


def test_too_many_viewers_are_refused(few: tuple[Server, Client]) -> None:
    _, client = few
    from wancore_client import Refused
    from wancore_client.stream import RESUMABLE

    job = client.create(family="faulty", steps=20, params={"step_s": 0.1}).name
    watching = [iter(client.watch(job).events) for _ in range(2)]
    for events in watching:
        next(events)
    import grpc
    from wancore_client.errors import api_error
    from wancore_proto.v1 import job_service_pb2

    with pytest.raises(grpc.RpcError) as caught:
        request = job_service_pb2.WatchJobRequest(name=job)
        list(client.job_streams.WatchJob(request, metadata=client.connection.metadata))
    told = api_error(caught.value)
    assert isinstance(told, Refused) and told.reason == "TOO_MANY_VIEWERS" and told.reason in RESUMABLE
    for events in watching:
        events.close()


CREATE = """
import sys, time
from wancore_client import Client, Unavailable
client = Client(*sys.argv[1:3])
while True:
    try:
        print(client.create(family="faulty", size=(640, 480), frames=60, params={"block_s": 0.1}).name)
        break
    except Unavailable:  # it is starting
        time.sleep(0.2)
"""
NETWORK = """
ip netns add {a}; ip netns add {b}
ip link add {a}v type veth peer name {b}v
ip link set {a}v netns {a}; ip link set {b}v netns {b}
ip -n {a} addr add 10.99.0.1/24 dev {a}v; ip -n {b} addr add 10.99.0.2/24 dev {b}v
ip -n {a} link set {a}v up; ip -n {b} link set {b}v up; ip -n {a} link set lo up; ip -n {b} link set lo up
"""


def can_make_networks() -> bool:
    name = f"wanprobe{os.getpid()}"  # every process of a run asks
    try:
        for _ in range(3):  # at the same time, too, and the first one makes the folder that all use
            made = subprocess.run(["ip", "netns", "add", name], capture_output=True)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
            if made.returncode == 0:
                return True
        return False
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_make_networks(), reason="needs `ip netns` and the right to use it")
def test_packets_dropped_both_ways(tmp_path: Path) -> None:
    """Fault 3: a wrong permanent neighbour entry at both ends drops silently, and heals when deleted."""
    a, b = f"wana{os.getpid()}", f"wanb{os.getpid()}"
    server = Server(tmp_path, insecure_bind=True)
    server.address = "10.99.0.1:50799"
    viewer = None

    def ip(command: str) -> None:
        subprocess.run(f"ip {command}", shell=True, check=True)

    try:
        subprocess.run(NETWORK.format(a=a, b=b), shell=True, check=True)
        environment = server.environment()
        with server.log.open("ab") as log:
            server.process = subprocess.Popen(
                ["ip", "netns", "exec", a, sys.executable, "-m", "wancore_server", "serve"],
                env=environment, stdout=log, stderr=log, cwd=tmp_path,
            )  # fmt: skip
        eventually(lambda: (server.data / "server.json").exists(), 20)
        inside = ["ip", "netns", "exec", b, sys.executable, "-c"]
        made = subprocess.run(
            [*inside, CREATE, server.address, server.token],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            check=True,
            timeout=30 * PATIENCE,
        )
        job = made.stdout.strip()
        viewer = Viewer.__new__(Viewer)
        viewer.out = tmp_path / "viewer.txt"
        viewer.process = subprocess.Popen(
            [*inside, VIEWER, server.address, server.token, job, "0.02", str(viewer.out), str(SILENCE_S)],
            env=environment,
        )
        eventually(lambda: len(viewer.lines) > 5, 15)
        for name, other in ((a, "10.99.0.2"), (b, "10.99.0.1")):
            ip(f"-n {name} neigh replace {other} lladdr 02:00:00:00:00:99 dev {name}v nud permanent")
        time.sleep(OUTAGE_S)
        stuck = len(viewer.lines)
        for name, other in ((a, "10.99.0.2"), (b, "10.99.0.1")):
            ip(f"-n {name} neigh del {other} dev {name}v")
        assert viewer.process.wait(40 + 2 * OUTAGE_S) == 0
        assert viewer.indices == list(range(60)) and stuck < 60
        assert int(viewer.lines[-1].split()[1]) >= 1
    finally:
        if viewer is not None:
            viewer.end()
        server.end()
        for name in (a, b):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_a_viewer_who_comes_late_gets_the_last_preview(client: Client) -> None:
    job = client.create(family="faulty", steps=3, frames=8, previews=True, params={"block_s": 0.3})
    eventually(lambda: client.job(job.name).stage == job_pb2.STAGE_DECODING)
    previews = [e.preview for e in client.watch(job.name).events if e.WhichOneof("event") == "preview"]
    assert [p.step for p in previews] == [3]


def test_how_far_the_slowest_viewer_is_behind(server: Server, client: Client) -> None:
    generation = client.watch(big_job(client, block_s=0.0))
    events = iter(generation.events)
    next(events)
    eventually(lambda: metric(server, "wancore_viewer_lag_frames") >= 8)
    generation.close()
    eventually(lambda: metric(server, "wancore_viewer_lag_frames") == 0)


def test_prompts_are_logged_where_the_operator_says_so(few: tuple[Server, Client]) -> None:
    server, client = few
    name = client.create("a secret wish", family="faulty", frames=1).name
    told = [json.loads(line) for line in server.log.read_text().splitlines()]
    (entry,) = [
        e for e in told if e.get("message") == "job created" and e["job"] == name.removeprefix("jobs/")
    ]
    assert entry["prompt"] == "a secret wish"


def test_logs_are_json_and_hold_no_prompt(server: Server, client: Client) -> None:
    client.generate("a secret wish", family="faulty", frames=1).wait()
    text = server.log.read_text()
    assert "secret wish" not in text
    for line in text.splitlines():
        assert {"time", "level", "message"} <= set(json.loads(line))


def test_metrics_have_bounded_labels(server: Server, client: Client) -> None:
    client.generate(family="faulty", frames=3).wait()
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    for name in (
        'wancore_jobs_total{family="faulty",outcome="succeeded"}', "wancore_queue_depth",
        "wancore_frames_emitted_total",
        "wancore_first_frame_seconds", "wancore_stream_sent_bytes_total", "wancore_store_commit_seconds",
        'wancore_worker_up{worker="0"} 1.0', "wancore_event_loop_lag_seconds",
        "grpc_server_call_started_total",
    ):  # fmt: skip
        assert name in text
    assert "jobs/" not in text
