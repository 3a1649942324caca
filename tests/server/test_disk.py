"""Fault 24: the disk is full, or as full as the operator allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from wancore_client import WancoreClientError
from wancore_proto.v1 import job_pb2

from tests.server.harness import Server, eventually, running

State = job_pb2.Job.State


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
