"""Fault 38: what a stream of a session may say and when, and joining again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from wancore_client import Client
from wancore_client.errors import api_error
from wancore_proto.v1alpha import session_service_pb2 as pb
from wancore_proto.v1alpha import session_service_pb2_grpc

from tests.server.sessions.lines import LATER, RATE, Line, reason, session, sound


def test_it_pauses_at_the_lead(client: Client, line: Callable[..., Line]) -> None:
    """Fault 38: without acknowledgements two blocks are made, each one gives leave for one more."""
    each = line(session(client).name)
    each.push(5)
    each.block(1)
    assert "block" not in each.quiet(0.6)
    each.say(ack=pb.BlockAck(block=0))
    each.block(2)
    assert "block" not in each.quiet(0.4)
    each.say(ack=pb.BlockAck(block=2))
    each.block(4)


def test_controls_are_refused_alone(client: Client, line: Callable[..., Line]) -> None:
    """Fault 38: a past block, one that is not there, words that the family does not take."""
    each = line(session(client).name)
    each.push(2)
    each.block(1)
    each.say(ack=pb.BlockAck(block=1))
    change = pb.PromptChange(prompt="yes")
    each.say(control=pb.Control(id="past", displayed_block=0, prompt=change))
    assert reason(each.control("past").error) == "CONTROL_STALE"
    each.say(control=pb.Control(id="future", displayed_block=7, prompt=change))
    assert reason(each.control("future").error) == "INVALID_FIELD"
    for id, later in (("nothing", b""), ("later", LATER)):
        each.say(control=pb.Control.FromString(pb.Control(id=id).SerializeToString() + later))
        error = each.control(id).error
        assert reason(error) == "INVALID_FIELD" and "prompt, pause, resume" in error.message
    each.say(control=pb.Control(id="long", prompt=pb.PromptChange(prompt="x" * 20_000)))
    assert reason(each.control("long").error) == "LIMIT_EXCEEDED"
    each.say(control=pb.Control(id="no", displayed_block=1, prompt=pb.PromptChange(prompt="no")))
    each.push(1, position=len(sound(2)))
    assert reason(each.control("no").error) == "INVALID_FIELD"
    each.block(2)


def test_pause_and_resume(client: Client, line: Callable[..., Line]) -> None:
    each = line(session(client).name)
    each.say(control=pb.Control(id="p", pause=pb.Pause()))
    assert each.control("p").block == 0
    each.push(1)
    assert "block" not in each.quiet(0.5)
    each.say(control=pb.Control(id="r", resume=pb.Resume()))
    each.block(0)
    each.say(control=pb.Control(id="again", pause=pb.Pause()))
    assert each.control("again").block == 1, "the worker says what has not begun"


def test_a_client_joins_again(client: Client) -> None:
    """Fault 38: the stream breaks again and again, nothing is missing and nothing comes twice."""
    with session(client) as live:
        live.push(sound(1.5))
        indices = []
        for frame in live.frames():
            indices.append(frame.index)
            if frame.index in (1, 6, 11) and indices.count(frame.index) == 1:
                live.call.cancel()
            if frame.index == 2 and indices.count(2) == 1:
                live.push(sound(2.5))
                live.finish()
        assert live.reconnects >= 3
    assert sorted(set(indices)) == list(range(16)) and indices[-1] == 15


def test_the_last_four_blocks_are_kept(client: Client, line: Callable[..., Line]) -> None:
    name = session(client).name
    each = line(name)
    each.push(6)
    for number in range(6):
        each.block(number)
        each.say(ack=pb.BlockAck(block=number))
    each.call.cancel()
    again = line(name, next_block=2)
    joined = again.until(lambda e: e.HasField("joined")).joined
    assert joined.audio[0].received == len(sound(6)) and joined.acknowledged_block >= 4
    again.block(5)
    numbers = [e.block.block for e in again.heard if e.HasField("block")]
    assert numbers == [2, 3, 4, 5]
    assert line(name, next_block=1).refused().reason == "FRAMES_EXPIRED"
    assert line(name, next_block=9).refused().reason == "CURSOR_INVALID"


def test_the_newer_stream_takes_over(client: Client, line: Callable[..., Line]) -> None:
    name = session(client).name
    first = line(name)
    first.until(lambda e: e.HasField("joined"))
    second = line(name)
    second.until(lambda e: e.HasField("joined"))
    assert first.refused().reason == "SESSION_TAKEN_OVER"
    second.push(1)
    second.block(0)


def test_who_joins_says_so_first(client: Client) -> None:
    stub = session_service_pb2_grpc.SessionServiceStub(client.streams)
    ack = pb.LiveRequest(ack=pb.BlockAck(block=0))
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.Live(iter([ack]), metadata=client.connection.metadata, timeout=20))
    assert api_error(caught.value).fields == {"header": "comes first"}


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"audio": pb.AudioChunk(position=9, pcm16=b"\0\0")}, "AUDIO_GAP"),
        ({"audio": pb.AudioChunk(pcm16=b"\0")}, "INVALID_FIELD"),
        ({"audio": pb.AudioChunk(pcm16=b"\0" * 2 * (RATE + 1))}, "LIMIT_EXCEEDED"),
        ({"audio": pb.AudioChunk(role="video", pcm16=b"\0\0")}, "INVALID_FIELD"),
        ({"ack": pb.BlockAck(block=3)}, "INVALID_FIELD"),
        ({"header": pb.LiveHeader(session="again")}, "INVALID_FIELD"),
        ({"end": pb.EndOfInput(role="video")}, "INVALID_FIELD"),
        ({}, "INVALID_FIELD"),
    ],
)
def test_what_a_stream_must_not_say(
    client: Client, line: Callable[..., Line], part: dict[str, Any], told: str
) -> None:
    each = line(session(client).name)
    each.say(**part)
    assert each.refused().reason == told
