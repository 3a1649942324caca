"""What the store and the files of a server that has ended must look like, however it ended."""

from __future__ import annotations

import sqlite3

import psutil
from wancore_proto.v1 import job_pb2

from tests.server.harness import Server

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
