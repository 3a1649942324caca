"""Faults 23, 26 and 36: what is there after a restart, and what cannot start beside another."""

from __future__ import annotations

import shutil
from pathlib import Path

from wancore_proto.v1 import job_pb2

from tests.server.harness import Server, eventually, running
from tests.server.stored import check_store

State = job_pb2.Job.State


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
