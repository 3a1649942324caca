"""Faults 1, 6, 7, 8, 9: viewers come, go, break and return."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import pytest
from wancore_client import Client, Refused
from wancore_client.errors import api_error
from wancore_client.frames import Assembly
from wancore_proto.v1 import frames_pb2, job_pb2, job_service_pb2

from tests.server.harness import Server, eventually, running, timing

State = job_pb2.Job.State
Pb = job_service_pb2


@pytest.fixture(scope="module")
def job(client: Client) -> str:
    generation = client.generate(family="faulty", frames=11, seed=5, params={"block_frames": 3})
    generation.wait()
    return generation.job


def stream(client: Client, job: str, encoding: str = "raw", **cursor: int) -> list[job_pb2.JobEvent]:
    request = Pb.WatchJobRequest(name=job, view=client.view(encoding, False), cursor=Pb.Cursor(**cursor))
    try:
        return list(client.job_streams.WatchJob(request, metadata=client.connection.metadata))
    except grpc.RpcError as error:
        raise api_error(error) from error


def stored(events: list[job_pb2.JobEvent]) -> list[bytes]:
    return [e.SerializeToString(deterministic=True) for e in events if e.sequence]


@pytest.mark.parametrize("encoding", ["raw", "png", "jpeg"])
def test_resumed_at_every_event_the_set_is_the_same(client: Client, job: str, encoding: str) -> None:
    """Fault 6."""
    whole = stream(client, job, encoding, after_sequence=0)
    sequences = [e.sequence for e in whole if e.sequence]
    assert sequences == list(range(1, len(sequences) + 1))
    for cut in range(len(sequences)):
        rest = stream(client, job, encoding, after_sequence=cut)
        assert rest[0].WhichOneof("event") == "header" and rest[0].header.format.frame_count == 11
        assert stored(rest) == stored(whole)[cut:]
    frames = [e for e in whole if e.WhichOneof("event") == "frame"]
    for index in range(11):
        rest = stream(client, job, encoding, from_frame=index)
        assert [e.frame.data for e in rest if e.WhichOneof("event") == "frame"] == [
            e.frame.data for e in frames[index:]
        ]


def test_h264_resumes_at_the_fragment_that_holds_the_frame(client: Client, job: str) -> None:
    for index in range(11):
        events = stream(client, job, "h264-fmp4", from_frame=index)
        kinds = [e.WhichOneof("event") for e in events]
        assert kinds.index("codec_init") < kinds.index("fragment")
        first = events[kinds.index("fragment")].fragment
        assert first.first_index <= index < first.first_index + first.frame_count


def test_cursors_that_cannot_be(client: Client, job: str) -> None:
    """Fault 7: beyond the end."""
    for cursor in ({"after_sequence": 10_000}, {"from_frame": 11}, {"attempt": 7}):
        with pytest.raises(Refused) as caught:
            stream(client, job, **cursor)
        assert caught.value.reason == "CURSOR_INVALID"
        assert {"first", "last"} <= set(caught.value.metadata)


def test_an_expired_spool_says_so(tmp_path: Path) -> None:
    """Fault 7: after expiry, the spool is gone and the job with it; with the spool alone, its frames."""
    import shutil

    with running(tmp_path, retention_s=1.5) as (server, client):
        generation = client.generate(family="faulty", frames=3)
        generation.wait()
        shutil.rmtree(server.data / "spool" / generation.job.removeprefix("jobs/"))
        with pytest.raises(Refused) as caught:
            stream(client, generation.job, after_sequence=0)
        assert caught.value.reason == "FRAMES_EXPIRED" and caught.value.metadata["last"] == "2"
        eventually(lambda: not list(client.jobs()))


def test_without_a_cursor_a_snapshot_comes_first(client: Client, job: str) -> None:
    request = Pb.WatchJobRequest(name=job)
    events = list(client.job_streams.WatchJob(request, metadata=client.connection.metadata))
    assert [e.WhichOneof("event") for e in events] == ["header", "state", "result"]


def test_a_client_that_reads_on_after_breaks_gets_every_frame(client: Client) -> None:
    """Fault 1: the connection breaks again and again; no frame is missing or there twice."""
    generation = client.generate(family="faulty", frames=30, params={"block_s": 0.02, "block_frames": 2})
    indices = []
    for frame in generation.frames():
        indices.append(frame.index)
        if frame.index % 7 == 3:
            reader = generation.events.reader
            assert reader is not None
            reader.call.cancel()  # type: ignore[attr-defined]
    assert indices == list(range(30)) and generation.events.reconnects >= 3


def test_a_deadline_of_the_call_only_detaches(client: Client) -> None:
    """Fault 8."""
    job = client.create(family="faulty", frames=4, steps=4, params={"step_s": 0.15})
    request = Pb.WatchJobRequest(name=job.name, cursor=Pb.Cursor(after_sequence=0))
    with pytest.raises(grpc.RpcError) as caught:
        list(client.job_streams.WatchJob(request, timeout=0.2, metadata=client.connection.metadata))
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    result = client.watch(job.name).wait()
    assert result.state == State.STATE_SUCCEEDED


def test_generate_is_cancelled_after_its_grace(client: Client) -> None:
    """Fault 9."""
    grace = timing("disconnect_grace_s")
    generation = client.generate(family="faulty", steps=1000, params={"step_s": max(0.02, grace / 250)})
    for event in generation.events:
        generation.take(event)
        if generation.progress.step > 2:
            break
    generation.close()
    assert client.job(generation.job).state == State.STATE_RUNNING
    eventually(lambda: client.job(generation.job).state == State.STATE_CANCELLED, 3 * grace + 1.5)
    client.generate(family="faulty", frames=1).wait()


def test_a_viewer_who_returns_within_the_grace_keeps_the_job(client: Client) -> None:
    generation = client.generate(family="faulty", steps=20, params={"step_s": 0.05})
    iterator = iter(generation.events)
    while not generation.job:
        generation.take(next(iterator))
    generation.close()
    time.sleep(0.2)
    assert client.watch(generation.job).wait().state == State.STATE_SUCCEEDED


def test_latest_skips_and_says_so(client: Client) -> None:
    """Fault 4, the skipping half: a viewer far behind gets the newest block, and is told of the rest."""
    job = client.create(family="faulty", frames=40, params={"block_frames": 4})
    client.watch(job.name, frames=False).wait()
    generation = client.watch(job.name, latest=True)
    indices = [frame.index for frame in generation.frames()]
    assert indices == [36, 37, 38, 39] and generation.skipped == 36


def test_parts_are_joined_once() -> None:
    import google_crc32c

    assembly = Assembly()

    def part(number: int, data: bytes) -> frames_pb2.Frame:
        return frames_pb2.Frame(
            index=1, part=number, part_count=2, data=data, crc32c=google_crc32c.value(data)
        )

    assert assembly.add(1, part(0, b"a")) is None
    assert assembly.add(1, part(0, b"a")) is None
    assert assembly.add(1, part(1, b"b")) == b"ab"


def test_heartbeats_keep_a_quiet_stream_alive(server: Server, client: Client) -> None:
    kinds: list[str | None] = []
    client.generate(
        family="faulty",
        steps=1,
        params={"step_s": 3.4 * timing("heartbeat_s")},
        on_event=lambda e: kinds.append(e.WhichOneof("event")),
    ).wait()
    assert kinds.count("heartbeat") >= 2
