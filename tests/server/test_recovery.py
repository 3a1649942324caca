"""Faults 22 to 26, 35 and 36: the gateway dies, the disk fills, the store is slow, the server drains."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from wancore_client import Client, ConnectionLost, Unavailable, WancoreClientError
from wancore_proto.v1 import asset_service_pb2, job_pb2

from tests.server.faulty.wancore_faulty import picture
from tests.server.harness import DEFAULTS, Server, eventually, health, running, succeeds, timing

State = job_pb2.Job.State
FINAL = {State.STATE_SUCCEEDED, State.STATE_FAILED, State.STATE_CANCELLED}


def check_store(server: Server) -> dict[str, int]:
    """Legal states, a whole index, no gap in any job's events: what §9 promises after any end."""
    db = sqlite3.connect(server.data / "store.db")
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        states = dict(db.execute("SELECT id, state FROM jobs").fetchall())
        for job, following in db.execute("SELECT id, next_sequence FROM jobs").fetchall():
            taken = [s for (s,) in db.execute("SELECT sequence FROM events WHERE job = ?", (job,))]
            for first, count in db.execute(
                "SELECT first_sequence, frame_count FROM blocks WHERE job = ?", (job,)
            ):
                taken += range(first, first + count)
            assert sorted(taken) == list(range(1, following))
            results = [
                1
                for (payload,) in db.execute("SELECT payload FROM events WHERE job = ?", (job,))
                if job_pb2.JobEvent.FromString(payload).WhichOneof("event") == "result"
            ]
            assert len(results) == (1 if states[job] in FINAL else 0)
        return states
    finally:
        db.close()


def no_orphans(pids: set[int]) -> bool:
    return not any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in pids)


#: One after another, each for the server that the last one left.
POINTS = {
    "before a commit": [f"store-before-commit:{n}" for n in (3, 6, 10)],
    "after a commit": [f"store-after-commit:{n}" for n in (2, 5, 9)],
    "at a block": ["spool-after-sync:1", "spool-after-sync:2"],
    "beside the store": [
        "asset-before-row:2", "asset-after-row:1", "track-before-index:1", "job-after-row:1"
    ],
}  # fmt: skip


class Workload:
    """Jobs with a kept encoding, uploads and deletions, while `alive()`; what the server acknowledged."""

    client: Client
    alive: Callable[[], bool]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, int] = {}  # name -> seed
        self.assets: list[str] = []
        self.round = 0

    def asked(self, call: Callable[[], Any]) -> Any:
        """The result, or None where the server says no or is gone."""
        return succeeds(call) if self.alive() else None

    def turn(self) -> None:
        self.round += 1
        seed = self.round
        job = self.asked(lambda: self.client.create(family="faulty", frames=6, seed=seed, keep=["png"]))
        if job is not None:
            self.jobs[job.name] = seed
        path = self.folder / f"tracks-{self.round}"
        path.write_bytes(f"data {self.round}".encode())
        name = self.asked(lambda: self.client.upload(path))
        if name is not None:
            self.assets.append(name)
        self.forget_some()

    def forget_some(self) -> None:
        """Once asked, a deletion may or may not have happened."""
        first = next(iter(self.jobs), None)
        job = self.asked(lambda: self.client.job(str(first))) if first is not None else None
        if job is not None and job.state in FINAL:
            del self.jobs[job.name]
            self.asked(lambda: self.client.delete(job.name))
        if len(self.assets) > 1:
            request = asset_service_pb2.DeleteAssetRequest(name=self.assets.pop(0))
            self.asked(lambda: self.client.call(self.client.asset_calls.DeleteAsset, request))


def check_files(server: Server) -> None:
    """No file that the store does not know, no row without its file."""
    db = sqlite3.connect(server.data / "store.db")
    try:
        assets = {digest for (digest,) in db.execute("SELECT digest FROM assets")}
        jobs = {job for (job,) in db.execute("SELECT id FROM jobs")}
    finally:
        db.close()
    assert {p.name.removesuffix(".clean") for p in (server.data / "assets").iterdir()} == assets
    assert {p.name for p in (server.data / "spool").iterdir()} <= jobs


def until_it_dies(server: Server, point: str, work: Workload) -> None:
    """Starts the server to die at `point`, and gives it work until it has; nothing of it runs on."""
    server.settings["fail_point"] = point
    (server.data / "server.json").unlink(missing_ok=True)
    process, pids = server.launch(), set[int]()
    eventually(lambda: (server.data / "server.json").exists() or process.poll() is not None, 30)
    if process.poll() is None:
        server.address = json.loads((server.data / "server.json").read_text())["address"]
        with server.client(patience_s=0.5) as client:
            work.client, work.alive = client, lambda: process.poll() is None
            while process.poll() is None:
                pids |= {p.pid for p in server.children()}
                work.turn()
                time.sleep(0.05)
    process.wait(10)
    assert process.returncode == -signal.SIGKILL, point
    eventually(lambda: no_orphans(pids), 5)
    assert {name.removeprefix("jobs/") for name in work.jobs} <= set(check_store(server)), point


@pytest.mark.parametrize("where", POINTS)
def test_the_gateway_dies_at_a_write(tmp_path: Path, where: str) -> None:
    """Faults 22, 23 and 41: what was acknowledged is there, states are legal, nothing runs on."""
    server = Server(tmp_path)
    work = Workload(tmp_path)
    try:
        for point in POINTS[where]:
            until_it_dies(server, point, work)
            server.address = "127.0.0.1:0"
        server.settings["fail_point"] = ""
        server.start()
        with server.client() as client:
            assert health(client, "")
            for name, seed in work.jobs.items():
                generation = client.watch(name, encoding="png")
                got = [(generation.attempt, frame) for frame in generation.frames()]
                last = [Image.open(BytesIO(f.data)) for attempt, f in got if attempt == generation.attempt]
                assert len(last) == 6
                for i, made in enumerate(last):
                    assert np.array_equal(made, picture(seed, i, 64, 48))
            names = asset_service_pb2.CheckAssetsRequest(names=work.assets)
            assert not client.call(client.asset_calls.CheckAssets, names).missing
            # Three times the ten seconds: a worker's own start is in them, which no setting makes shorter.
            eventually(lambda: health(client, "wancore.v1.JobService"), 3 * 10)
        assert server.stop() == 0
        check_store(server)
        check_files(server)
    finally:
        server.end()


def test_a_viewer_outlives_the_gateway(tmp_path: Path) -> None:
    """The client reconnects; the attempt that was lost is made again from its first frame."""
    server = Server(tmp_path).start()
    try:
        with server.client() as client:
            server.ready(client)
            address = server.address
            generation = client.generate(
                family="faulty", frames=12, params={"block_s": 0.15, "block_frames": 2}
            )
            got: list[tuple[int, int]] = []
            for frame in generation.frames():
                got.append((generation.attempt, frame.index))
                if len(got) == 5:
                    server.kill()
                    server.address = address
                    server.start()
            assert [index for attempt, index in got if attempt == 2] == list(range(12))
            assert client.job(generation.job).state == State.STATE_SUCCEEDED
            assert server.stop() == 0
    finally:
        server.end()


def test_an_ended_job_reads_the_same_after_a_restart(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    try:
        with server.client() as client:
            server.ready(client)
            generation = client.generate(family="faulty", frames=5, keep=["h264-fmp4"])
            before = [f.data for f in generation.frames()]  # type: ignore[union-attr]
            pngs = [f.data for f in client.watch(generation.job, encoding="png").frames()]
        assert server.stop() == 0
        server.start()
        with server.client() as client:
            server.ready(client)
            assert [f.data for f in client.watch(generation.job).frames()] == before
            assert [f.data for f in client.watch(generation.job, encoding="png").frames()] == pngs
            assert b"".join(client.read_artifact(f"{generation.job}/artifacts/0"))[4:8] == b"ftyp"
    finally:
        server.end()


def test_index_rows_past_the_spool_are_cut(tmp_path: Path) -> None:
    """Fault 23: the end of the spool file was lost with the power."""
    server = Server(tmp_path).start()
    try:
        with server.client() as client:
            server.ready(client)
            job = client.create(family="faulty", frames=40, params={"block_s": 0.1, "block_frames": 2})
            eventually(lambda: client.job(job.name).frame_count >= 6)
        server.kill()
        id = job.name.removeprefix("jobs/")
        spool = server.data / "spool" / id / "1.rgb"
        with spool.open("rb+") as file:
            file.truncate(spool.stat().st_size // 2)
        server.start()
        with server.client() as client:
            assert client.watch(job.name).wait().frame_count == 40
    finally:
        server.end()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running(tmp_path_factory.mktemp("impatient"), store_busy_s=0.4) as pair:
        yield pair


def test_a_locked_store_delays_writes_and_not_reads(impatient: tuple[Server, Client]) -> None:
    """Fault 25."""
    server, client = impatient
    done = client.create(family="faulty", frames=1)
    client.watch(done.name).wait()
    lock = sqlite3.connect(server.data / "store.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    assert client.job(done.name).state == State.STATE_SUCCEEDED
    assert len(list(client.jobs())) == 1
    from wancore_proto.v1 import job_service_pb2 as pb

    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(family="families/faulty"))
    with pytest.raises(Unavailable) as caught:
        client.call(client.job_streams.CreateJob, request)
    assert caught.value.reason == "STORE_BUSY" and caught.value.retry_s
    lock.execute("ROLLBACK")
    lock.close()
    assert client.generate(family="faulty", frames=1).wait().state == State.STATE_SUCCEEDED


def test_a_store_locked_while_a_job_runs(impatient: tuple[Server, Client]) -> None:
    """Fault 25: what a worker told while the store was locked is not lost with the job."""
    server, client = impatient
    job = client.create(family="faulty", frames=20, params={"block_s": 0.05})
    eventually(lambda: client.job(job.name).frame_count >= 4)
    lock = sqlite3.connect(server.data / "store.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    time.sleep(10.0 if DEFAULTS else 1.0)
    lock.execute("ROLLBACK")
    lock.close()
    result = client.watch(job.name).wait()
    assert result.state == State.STATE_SUCCEEDED and result.frame_count == 20


def test_no_new_work_on_a_full_disk(tmp_path: Path) -> None:
    """Fault 24: refused with a reason; recovery once there is space."""
    from wancore_client import Refused

    server = Server(tmp_path, free_bytes=2**62)
    try:
        server.start()
        with server.client() as client:
            server.ready(client)
            with pytest.raises(Refused) as caught:
                client.create(family="faulty")
            assert caught.value.reason == "DISK_LOW" and caught.value.retry_s
            path = tmp_path / "x"
            path.write_bytes(b"data")
            with pytest.raises(Refused) as upload:
                client.upload(path)
            assert upload.value.reason == "DISK_LOW"
    finally:
        server.end()


def test_the_cap_on_the_spool(tmp_path: Path) -> None:
    """Fault 24: ended jobs make room, oldest first; a job for which there is none fails with a reason."""
    from wancore_client import JobFailed

    frame = 64 * 48 * 3
    with running(tmp_path, spool_bytes=30 * frame, spool_grant_bytes=frame, spool_wait_s=0.5) as (_, client):
        first = client.generate(family="faulty", frames=20)
        first.wait()
        assert client.generate(family="faulty", frames=20).wait().frame_count == 20
        with pytest.raises(WancoreClientError) as gone:
            list(client.watch(first.job))
        assert "FRAMES_EXPIRED" in str(gone.value)
        with pytest.raises(JobFailed) as caught:
            client.generate(family="faulty", frames=40).wait()
        assert caught.value.reason == "SINK_STALLED"
        assert client.generate(family="faulty", frames=4).wait().frame_count == 4


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


def test_a_second_server_refuses_to_start(tmp_path: Path) -> None:
    """Fault 36."""
    with running(
        tmp_path / "one",
    ) as (server, _):
        same_folder = Server(tmp_path / "one")
        process = same_folder.launch()
        assert process.wait(20) == 1 and "another server uses" in same_folder.log.read_text()
        (tmp_path / "two").mkdir()
        same_port = Server(tmp_path / "two")
        same_port.address = server.address
        process = same_port.launch()
        assert process.wait(20) == 1 and "cannot listen" in same_port.log.read_text()


def test_wall_clock_jumps_do_not_matter(tmp_path: Path) -> None:
    """Fault 26: leases, silence and grace use the monotonic clock. The wall clock is moved under the
    server by a module that every Python process loads first."""
    server = Server(tmp_path)
    (server.site / "sitecustomize.py").write_text(
        "import os, time\n"
        "real, began = time.time_ns, time.monotonic()\n"
        "def jumping():\n"
        "    return real() + (int((time.monotonic() - began) * 4) % 3 - 1) * 86_400_000_000_000\n"
        "time.time_ns = jumping\n"
        "time.time = lambda: jumping() / 1e9\n"
    )
    server.settings["retention_s"] = 10 * 86_400
    try:
        server.start()
        with server.client() as client:
            server.ready(client)
            generation = client.generate(family="faulty", steps=20, frames=8, params={"step_s": 0.1})
            assert [f.index for f in generation.frames()] == list(range(8)) and generation.attempt == 1
    finally:
        server.end()


def request_for(family: str) -> Any:
    from wancore_proto.v1 import job_service_pb2

    return job_service_pb2.CreateJobRequest(spec=job_pb2.JobSpec(family=f"families/{family}"))


def test_a_torn_log_of_the_store(tmp_path: Path) -> None:
    """Fault 23: the end of the write-ahead log was lost or torn; the store opens with whole transactions."""
    server = Server(tmp_path).start()
    try:
        with server.client() as client:
            server.ready(client)
            for _ in range(3):
                client.generate(family="faulty", frames=6).wait()
            running_job = client.create(family="faulty", frames=200, params={"block_s": 0.05})
            eventually(lambda: client.job(running_job.name).frame_count > 4)
        server.kill()
        whole = server.data.rename(tmp_path / "whole")
        size = (whole / "store.db-wal").stat().st_size
        for kept in (*(i / 16 for i in range(16)), 0.97):
            shutil.rmtree(server.data, ignore_errors=True)
            shutil.copytree(whole, server.data)
            with (server.data / "store.db-wal").open("rb+") as file:
                file.truncate(int(size * kept))
                file.seek(0, 2)
                file.write(b"\x5a" * 777)  # what a torn sector may hold
            check_store(server)
        server.start()
        with server.client() as client:
            server.ready(client)
            assert client.generate(family="faulty", frames=2).wait().state == State.STATE_SUCCEEDED
    finally:
        server.end()


def mounted(folder: Path, size: str) -> bool:
    import subprocess

    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """Fault 24: no byte left while frames are written; typed error, reads go on, and it recovers."""
    import subprocess

    from wancore_client import JobFailed

    folder = tmp_path / "small"
    if not mounted(folder, "20m"):
        pytest.skip("needs the right to mount")
    try:
        with running(folder) as (_, client):
            small = client.generate(family="faulty", frames=2)
            small.wait()
            with pytest.raises(JobFailed) as caught:
                client.generate(family="faulty", size=(640, 480), frames=40).wait()
            assert caught.value.reason in ("DISK_FULL", "SINK_STALLED")
            assert len(list(client.watch(small.job).frames())) == 2
            for job in list(client.jobs()):
                client.delete(job.name)
            eventually(lambda: not list(client.jobs()))
            assert client.generate(family="faulty", frames=2).wait().state == State.STATE_SUCCEEDED
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
