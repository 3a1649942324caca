"""Faults 35, 38 and 39: how a session ends, and what does not end it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wancore_client import Client, Refused, SessionEnded
from wancore_proto.v1alpha import session_service_pb2 as pb

from tests.server.harness import PATIENCE, eventually, running
from tests.server.sessions.lines import SHORT, Line, expected, reason, session, sound


def test_sound_that_stalls_ends_the_session(client: Client, line: Callable[..., Line]) -> None:
    """Fault 38: a typed timeout, told in the stream and afterwards."""
    name, started = session(client).name, time.monotonic()
    each = line(name)
    each.push(0.5)
    end = each.until(lambda e: e.HasField("end")).end
    assert reason(end.error) == "SESSION_IDLE" and 1.2 <= time.monotonic() - started < 3 * 1.2 + 2
    told = client.get_session(name)
    assert told.state == pb.Session.STATE_ENDED and reason(told.error) == "SESSION_IDLE"


def test_a_session_that_nobody_joins_again_ends(client: Client, line: Callable[..., Line]) -> None:
    name = session(client).name
    each = line(name)
    each.until(lambda e: e.HasField("joined"))
    each.call.cancel()
    eventually(lambda: reason(client.get_session(name).error) == "SESSION_ABANDONED", 3 * 0.8 + 2)


def test_a_session_has_a_lifetime_and_limits(tmp_path: Path) -> None:
    """Sound far ahead of its use and a second session are refused; its time ends it though it is used."""
    settings = {**SHORT, "session_lifetime_s": 1.5, "session_audio_s": 2, "running_per_caller": 1}
    patient = {"session_idle_s": 20, "session_rejoin_s": 20}
    with running(tmp_path, **{**settings, **patient}) as (_, client):
        assert "session.audio-in" in client.server_info().capabilities
        name = session(client).name
        with pytest.raises(Refused) as caught:
            session(client)
        assert caught.value.reason == "QUOTA_EXCEEDED"
        each = Line(client, name)
        each.push(6.5)  # 3.25 s; two blocks of 0.5 s may be made, and use theirs up
        assert each.refused().reason == "LIMIT_EXCEEDED"
        eventually(lambda: reason(client.get_session(name).error) == "SESSION_LIFETIME", 3 * 1.5 + 2)


def test_a_stream_that_is_not_read_is_cut(client: Client, line: Callable[..., Line]) -> None:
    """After 7 s, here 2, though its worker has no cause to wait."""
    name, started = session(client, size=(1024, 768)).name, time.monotonic()
    each = line(name)
    each.push(2)  # 19 MB of frames
    eventually(lambda: client.get_session(name).block_count == 2, 20)
    time.sleep(2.3)
    assert each.refused().reason == "VIEWER_TOO_SLOW" and time.monotonic() - started < 3 * 2 + 20


def test_a_block_that_fails_is_made_again(client: Client) -> None:
    """Fault 39: the same frames, and a warning."""
    params = {"fault": "raise", "at": "decoding", "times": 1, "key": "block-once"}
    with session(client, params=params) as live:
        live.push(sound(2))
        live.finish()
        frames = np.stack([frame.pixels for frame in live.frames()])
    assert np.array_equal(frames, expected(["abc"] * 2))
    assert [w.reason for w in live.warnings] == ["BLOCK_RETRIED"]


def test_a_block_that_fails_twice_ends_the_session(client: Client) -> None:
    """Fault 39: a typed end, and no frame of the block."""
    params = {"fault": "raise", "at": "decoding", "times": 2, "key": "block-twice"}
    with session(client, params=params) as live:
        live.push(sound(2))
        with pytest.raises(SessionEnded) as caught:
            list(live.frames())
    assert caught.value.reason == "BLOCK_FAILED" and caught.value.metadata["block"] == "0"
    assert client.get_session(live.name).frame_count == 0


def test_a_lost_worker_ends_the_session(client: Client) -> None:
    params = {"fault": "kill", "at": "denoising", "times": 1, "key": "never"}
    with session(client) as live:
        live.push(sound(1))
        frames = live.frames()
        assert next(frames).index == 0
        # The next session's worker is killed under it; this one's is asked to go.
        live.finish()
        list(frames)
    with session(client, params=params) as live:
        live.push(sound(1))
        with pytest.raises(SessionEnded) as caught:
            list(live.frames())
    assert caught.value.reason == "SESSION_LOST" and caught.value.metadata["last_block"] == ""


def test_the_caller_ends_it(client: Client) -> None:
    with session(client) as live, pytest.raises(SessionEnded):
        live.push(sound(1))
        for frame in live.frames():
            if frame.index == 0:
                client.end_session(live.name)
    assert reason(client.get_session(live.name).error) == "ENDED_BY_CALLER"


def test_a_drain_ends_sessions(tmp_path: Path) -> None:
    """Fault 35: told in the stream, and the server ends."""
    settings = {**SHORT, "drain_s": 0.2, "session_idle_s": 300, "session_lifetime_s": 300}
    with running(tmp_path, **settings) as (server, client), session(client) as live:
        live.push(sound(1.5))
        frames = iter(live.frames())
        assert next(frames).index == 0  # it runs, and its stream is there to be told
        server.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        with pytest.raises(SessionEnded) as caught:
            list(frames)
        assert caught.value.reason == "DRAINING"
        assert server.process.wait(10 * PATIENCE) == 0  # type: ignore[union-attr]
        live.result = live.result or pb.SessionEnd()
