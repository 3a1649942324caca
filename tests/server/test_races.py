"""Faults 10 and 11: whatever races, the recorded history fits a small model of the promises."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wancore_client import Client, WancoreClientError
from wancore_proto.v1 import job_pb2, job_service_pb2
from wancore_server.jobs.ledger import Ledger, Move
from wancore_server.jobs.states import FINAL
from wancore_server.metrics import Metrics
from wancore_server.store import Frames, NewJob, SqliteStore
from wancore_server.store.model import Change

from tests.server.harness import PATIENCE, Server, eventually, running

State = job_pb2.Job.State
Q, S, R = State.STATE_QUEUED, State.STATE_STARTING, State.STATE_RUNNING
OK, FAILED, CANCELLING, CANCELLED = (
    State.STATE_SUCCEEDED, State.STATE_FAILED, State.STATE_CANCELLING, State.STATE_CANCELLED
)  # fmt: skip
#: The transitions of a job's life; nothing else may happen.
LEGAL = {
    (State.STATE_UNSPECIFIED, Q), (Q, S), (Q, CANCELLED), (Q, FAILED), (S, R), (S, Q), (S, FAILED),
    (S, CANCELLING), (R, OK), (R, FAILED), (R, Q), (R, CANCELLING), (CANCELLING, CANCELLED),
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    settings = {"queued_per_caller": 1000, "quarantine_crashes": 1000}
    with running(tmp_path_factory.mktemp("races"), **settings) as pair:
        yield pair


def check_history(events: Sequence[job_pb2.JobEvent]) -> None:
    """The model: legal transitions, sequences without gap or double, frames of an attempt in order and
    after its start, attempts rising, one result, last."""
    state, attempt, frame, sequence = State.STATE_UNSPECIFIED, 0, 0, 0
    for event in events:
        if event.sequence:
            assert event.sequence == sequence + 1
            sequence = event.sequence
        kind = event.WhichOneof("event")
        if kind == "state" and event.sequence:
            assert event.state.previous == state and (state, event.state.state) in LEGAL
            state = event.state.state
        elif kind == "attempt_started":
            assert event.attempt_started.attempt == attempt + 1 and state == S
            attempt, frame = attempt + 1, 0
        elif kind == "frame":
            assert event.attempt == attempt and event.frame.index == frame and state in (R, CANCELLING)
            frame += 1
        elif kind == "result":
            assert event.result.state == state and state in FINAL and event is events[-1]
    assert events[-1].WhichOneof("event") == "result"


def stored_history(server: Server, job: str) -> list[job_pb2.JobEvent]:
    db = sqlite3.connect(f"file:{server.data}/store.db?mode=ro", uri=True)
    try:
        id = job.removeprefix("jobs/")
        found = []
        for sequence, payload in db.execute("SELECT sequence, payload FROM events WHERE job = ?", (id,)):
            event = job_pb2.JobEvent.FromString(payload)
            event.sequence = sequence
            found.append(event)
        blocks = "SELECT first_sequence, attempt, first_frame, frame_count FROM blocks WHERE job = ?"
        for sequence, attempt, first, count in db.execute(blocks, (id,)):
            for k in range(count):
                event = job_pb2.JobEvent(sequence=sequence + k, attempt=attempt)
                event.frame.index = first + k
                found.append(event)
        return sorted(found, key=lambda e: e.sequence)
    finally:
        db.close()


def test_cancel_against_completion_at_the_store(tmp_path: Path) -> None:
    """Fault 11, 10,000 times: two moves at once, exactly one of them wins."""

    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db")

        async def one(number: int) -> None:
            id = f"{number}"
            new = NewJob(id, "me", "f", "", number, b"", "", b"", ())
            await store.create_job(new, 0)
            await store.move(id, [Q], 0, S, Change(b"", attempt=1), [b"s"])
            await store.move(id, [S], 1, R, Change(b""), [b"r"])
            moves = [
                store.move(id, [R], 1, OK, Change(b"", ended=1), [b"ok", b"result"]),
                store.move(id, [S, R], 1, CANCELLING, Change(b""), [b"c"]),
            ]
            random.shuffle(moves)
            results = await asyncio.gather(*moves)
            assert sum(r is not None for r in results) == 1
            closed = await store.move(id, [CANCELLING], 1, CANCELLED, Change(b"", ended=1), [b"x", b"result"])
            row = await store.job(id)
            assert row is not None and row.state == (OK if closed is None else CANCELLED)
            assert await store.append(id, 1, [S, R, CANCELLING], [b"late"], None) is None

        for start in range(0, 10_000, 250):
            await asyncio.gather(*(one(n) for n in range(start, start + 250)))
        await store.close()

    asyncio.run(run())


def test_cancel_at_every_moment(server: Server, client: Client) -> None:
    """Faults 10 and 11: 200 jobs through a worker, cancelled at random moments in every state and stage."""
    rng, jobs = random.Random(1), []
    for _ in range(10):
        batch = [
            client.create(family="faulty", frames=2, steps=2, params={"step_s": 0.001, "block_s": 0.001})
            for _ in range(20)
        ]
        jobs += batch
        threads = [
            threading.Thread(target=lambda j=job: (time.sleep(rng.random() * 0.8), client.cancel(j.name)))
            for job in batch
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ends = set()
    for job in jobs:
        with contextlib.suppress(WancoreClientError):
            client.watch(job.name, frames=False).wait()
        check_history(stored_history(server, job.name))
        ends.add(client.job(job.name).state)
    assert ends == {OK, CANCELLED}


def test_crashes_and_cancels_together(server: Server, client: Client) -> None:
    """The model holds through lost workers too."""
    rng, jobs = random.Random(2), []
    for number in range(12):
        params = {
            "fault": rng.choice(["kill", "exit", "raise", ""]),
            "at": rng.choice(["start", "loading", "decoding"]),
            "times": rng.choice([1, 2]), "key": f"race-{number}", "block_s": 0.01,
        }  # fmt: skip
        jobs.append(client.create(family="faulty", frames=6, params=params))
        if rng.random() < 0.3:
            client.cancel(rng.choice(jobs).name)
    for job in jobs:
        with contextlib.suppress(WancoreClientError):
            client.watch(job.name, frames=False).wait()
        check_history(stored_history(server, job.name))


def test_a_change_is_whole_though_its_caller_is_cancelled(tmp_path: Path) -> None:
    """Memory follows the store, at whatever moment the one who asked is cancelled: no viewer waits for an
    event that never comes."""

    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db")
        ledger = Ledger(store, Metrics(), 60)
        info = job_pb2.Job(name="jobs/a", state=Q).SerializeToString()
        live, _ = await ledger.create(NewJob("a", "me", "f", "", 1, info, "", b"", (b"",)), 0, "")
        await ledger.move(live, Move({Q}, S, attempt=1))
        for turns in range(60):
            entry = job_pb2.JobEvent(stage=job_pb2.StageProgress(step=turns))
            asked = asyncio.ensure_future(ledger.append(live, 1, {S}, [entry]))
            for _ in range(turns % 6):
                await asyncio.sleep(0 if turns < 30 else 0.0005)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        moving = asyncio.ensure_future(ledger.move(live, Move({S}, R)))
        await asyncio.sleep(0)
        moving.cancel()
        assert await ledger.append(live, 1, {R}, [job_pb2.JobEvent(warning=job_pb2.Warning(reason="last"))])
        stored = await store.history("a")
        assert live.log.entries == stored and not live.log.early and len(stored) > 4
        row = await store.job("a")
        assert row is not None and row.state == live.state == R
        await store.close()

    asyncio.run(run())


def test_calls_cancelled_at_every_moment_leave_no_job_behind(server: Server, client: Client) -> None:
    """Faults 9 and 13: what was stored is queued, found by its request id, and ended without a viewer."""
    rng, ids = random.Random(3), [str(uuid.UUID(int=n, version=4)) for n in range(40)]
    spec = job_pb2.JobSpec(family="families/steady")
    spec.shape.frame_count = 1
    metadata = client.connection.metadata
    for number, id in enumerate(ids):
        if number % 2:
            made = job_service_pb2.GenerateRequest(spec=spec, request_id=id)
            call = client.job_streams.Generate(made, metadata=metadata)
        else:
            asked = job_service_pb2.CreateJobRequest(spec=spec, request_id=id)
            call = client.job_calls.CreateJob.future(asked, metadata=metadata)
        time.sleep(rng.random() * 0.02)
        call.cancel()
    again = []
    for number, id in enumerate(ids):
        spec.on_disconnect = (
            job_pb2.ON_DISCONNECT_CANCEL_AFTER_GRACE if number % 2 else job_pb2.ON_DISCONNECT_KEEP
        )
        asked = job_service_pb2.CreateJobRequest(spec=spec, request_id=id)
        again.append(client.call(client.job_calls.CreateJob, asked).name)
    assert len(set(again)) == len(ids)
    eventually(lambda: all(client.job(name).state in (OK, CANCELLED) for name in again), 30 * PATIENCE)


@settings(max_examples=50, deadline=None)
@given(entries=st.lists(st.one_of(st.binary(max_size=5), st.integers(1, 5)), min_size=1, max_size=12))
def test_the_store_gives_back_what_was_appended(
    tmp_path_factory: pytest.TempPathFactory, entries: list[bytes | int]
) -> None:
    """The contract of a store: sequences without gap, in order, frames as many as there were."""

    async def run() -> None:
        store = SqliteStore(tmp_path_factory.mktemp("store") / "store.db")
        await store.create_job(NewJob("a", "me", "f", "", 1, b"", "", b"", (b"new",)), 0)
        await store.move("a", [Q], 0, R, Change(b"", attempt=1), [b"run"])
        first, block = 0, 0
        given: list[bytes | Frames] = []
        for entry in entries:
            if isinstance(entry, int):
                given.append(Frames(block, first, entry, first * 10, 10, bytes(4 * entry), 0))
                first, block = first + entry, block + 1
            else:
                given.append(entry)
        sequence = await store.append("a", 1, [R], given, None)
        assert sequence == 3
        found = (await store.history("a"))[2:]
        assert [e.frames if hasattr(e, "frames") else e.payload for e in found] == given
        following = 3
        for entry in found:
            assert entry.sequence == following
            following = entry.last_sequence + 1
        row = await store.job("a")
        assert row is not None and row.next_sequence == following
        await store.close()

    asyncio.run(run())
