"""Live sessions over a real socket: faults 38 and 39, limits, rejoining."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image
from wancore_client import ApiError, AsyncClient, Client, InvalidRequest, NotFound, SessionEnded
from wancore_client.errors import api_error
from wancore_client.session import Session
from wancore_proto.v1alpha import session_service_pb2 as pb
from wancore_proto.v1alpha import session_service_pb2_grpc

from tests.server.faulty.wancore_faulty import picture
from tests.server.harness import Server, eventually, running
from wancore.media.audio import read_audio
from wancore.media.video import read_video

RATE, FPS, BLOCK = 16_000, 8, 4
LATER = b"\x9a\x06\x00"  # a message in field 99, as a later client may send one
SHORT = {
    "session_idle_s": 1.2, "session_rejoin_s": 0.8, "session_stall_s": 2.0, "session_lease_s": 0.3,
    "session_lifetime_s": 30.0, "running_per_caller": 8, "quarantine_crashes": 1000,
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running(tmp_path_factory.mktemp("sessions"), **SHORT) as pair:
        yield pair


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server, client: Client) -> Iterator[None]:
    yield
    eventually(lambda: not list((server.data / "scratch").glob("session-*")))
    assert client.generate(family="steady", frames=1).wait().frame_count == 1


def sound(blocks: float) -> np.ndarray:
    return np.zeros(round(blocks * BLOCK * RATE / FPS), np.int16)


def session(client: Client, prompt: str = "abc", **keywords: Any) -> Session:
    params = {"block_frames": BLOCK, **keywords.pop("params", {})}
    return client.session(prompt, family="faulty", params=params, seed=5, **keywords)


def expected(words: list[str]) -> np.ndarray:
    """The pictures of blocks that were made under these words."""
    return np.stack(
        [picture(5 + len(text), BLOCK * b + k, 64, 48) for b, text in enumerate(words) for k in range(BLOCK)]
    )


class Line:
    """The bare stream of a session, to say and hear exactly what a test wants."""

    def __init__(self, client: Client, name: str, **header: Any) -> None:
        self.sending: queue.SimpleQueue[pb.LiveRequest | None] = queue.SimpleQueue()
        self.say(header=pb.LiveHeader(session=name, **header))
        stub = session_service_pb2_grpc.SessionServiceStub(client.streams)
        self.call = stub.Live(iter(self.sending.get, None), metadata=client.connection.metadata, timeout=20)
        self.heard: list[pb.LiveEvent] = []

    def say(self, **part: Any) -> None:
        self.sending.put(pb.LiveRequest(**part))

    def push(self, blocks: float, position: int = 0) -> None:
        pcm = sound(blocks).tobytes()
        for at in range(0, len(pcm), 2 * RATE):
            chunk = pb.AudioChunk(position=position + at // 2, pcm16=pcm[at : at + 2 * RATE])
            self.say(audio=chunk)

    def until(self, wanted: Callable[[pb.LiveEvent], bool]) -> pb.LiveEvent:
        for event in self.call:
            self.heard.append(event)
            if wanted(event):
                return event
        raise AssertionError("the stream ended before")

    def block(self, number: int) -> None:
        self.until(lambda e: e.HasField("block_end") and e.block_end.block == number)

    def control(self, id: str) -> pb.ControlResult:
        return self.until(lambda e: e.HasField("control") and e.control.id == id).control

    def quiet(self, seconds: float) -> list[str]:
        """What is heard meanwhile."""
        end, kinds = time.monotonic() + seconds, []
        for event in self.call:
            kinds.append(event.WhichOneof("event"))
            if time.monotonic() > end:
                return kinds
        return kinds

    def refused(self) -> ApiError:
        with pytest.raises(grpc.RpcError) as caught:
            for _ in self.call:
                pass
        return api_error(caught.value)  # type: ignore[arg-type]


@pytest.fixture
def line(client: Client) -> Iterator[Callable[..., Line]]:
    made: list[tuple[str, Line]] = []

    def join(name: str, **header: Any) -> Line:
        made.append((name, Line(client, name, **header)))
        return made[-1][1]

    yield join
    for name, each in made:
        each.call.cancel()
        client.end_session(name)


@pytest.mark.parametrize("encoding", ["raw", "jpeg", "h264-fmp4"])
def test_frames_come_back_while_sound_goes_in(client: Client, encoding: str) -> None:
    with session(client, encoding=encoding) as live:
        live.push(sound(2.5))
        wholes = []
        for whole in live:
            wholes.append(whole)
            last = whole.index if encoding != "h264-fmp4" else whole.first_index + whole.frame_count - 1
            if last == BLOCK - 1:
                live.push(sound(0.75).astype(np.float32))
                live.finish()
        assert live.result is not None and live.result.frame_count == 13 and live.block == 3
    if encoding == "raw":
        pixels = np.stack([frame.pixels for frame in wholes])
        assert np.array_equal(pixels, expected(["abc"] * 4)[:13])
        assert [f.pts for f in wholes] == [i / FPS for i in range(13)]
    if encoding == "h264-fmp4":
        assert b"ftyp" in wholes[0].init and [f.first_index for f in wholes] == [0, 4, 8, 12]


def test_two_pushes_make_what_one_does(client: Client) -> None:
    with session(client) as live:
        live.push(sound(3))
        live.finish()
        whole = np.stack([frame.pixels for frame in live.frames()])
    assert np.array_equal(whole, expected(["abc"] * 3))


def test_asyncio(server: Server) -> None:
    async def run() -> int:
        async with AsyncClient(server.address, server.token) as client:
            params = {"block_frames": BLOCK}
            async with client.session("abc", family="faulty", params=params) as live:
                await live.push(sound(2))
                live.finish()
                return len([frame async for frame in live])

    assert asyncio.run(run()) == 2 * BLOCK


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


def test_words_change_from_the_next_block_on(client: Client) -> None:
    with session(client) as live:
        live.push(sound(4))
        live.finish()
        frames = []
        for frame in live.frames():
            frames.append(frame.pixels)
            if frame.index == BLOCK - 1:
                id = live.steer("other words")
                eventually(lambda: client.get_session(live.name).block_count == 2)
        effect = live.controls[id]
    assert effect == 2
    assert np.array_equal(np.stack(frames), expected(["abc", "abc", "other words", "other words"]))


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
    each.control("p")
    each.push(1)
    assert "block" not in each.quiet(0.5)
    each.say(control=pb.Control(id="r", resume=pb.Resume()))
    each.block(0)


def test_sound_that_stalls_ends_the_session(client: Client, line: Callable[..., Line]) -> None:
    """Fault 38: a typed timeout, told in the stream and afterwards."""
    name, started = session(client).name, time.monotonic()
    each = line(name)
    each.push(0.5)
    end = each.until(lambda e: e.HasField("end")).end
    assert reason(end.error) == "SESSION_IDLE" and 1.2 <= time.monotonic() - started < 3 * 1.2 + 2
    told = client.get_session(name)
    assert told.state == pb.Session.STATE_ENDED and reason(told.error) == "SESSION_IDLE"


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


def test_a_session_that_nobody_joins_again_ends(client: Client, line: Callable[..., Line]) -> None:
    name = session(client).name
    each = line(name)
    each.until(lambda e: e.HasField("joined"))
    each.call.cancel()
    eventually(lambda: reason(client.get_session(name).error) == "SESSION_ABANDONED", 3 * 0.8 + 2)


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


def test_sessions_go_before_jobs_and_one_at_a_time(client: Client) -> None:
    slow = client.create(family="steady", params={"step_s": 0.1})
    waiting = client.create(family="steady", frames=1)
    with session(client) as live:
        live.push(sound(1))
        live.finish()
        assert len(list(live.frames())) == BLOCK
        assert client.job(waiting.name).frame_count == 0
    for job in (slow, waiting):
        client.watch(job.name).wait()


def test_the_caller_ends_it(client: Client) -> None:
    with session(client) as live, pytest.raises(SessionEnded):
        live.push(sound(1))
        for frame in live.frames():
            if frame.index == 0:
                client.end_session(live.name)
    assert reason(client.get_session(live.name).error) == "ENDED_BY_CALLER"


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"audio": pb.AudioChunk(position=9, pcm16=b"\0\0")}, "AUDIO_GAP"),
        ({"audio": pb.AudioChunk(pcm16=b"\0")}, "INVALID_FIELD"),
        ({"audio": pb.AudioChunk(pcm16=b"\0" * 2 * (RATE + 1))}, "LIMIT_EXCEEDED"),
        ({"audio": pb.AudioChunk(role="video", pcm16=b"\0\0")}, "INVALID_FIELD"),
        ({"ack": pb.BlockAck(block=3)}, "INVALID_FIELD"),
        ({"header": pb.LiveHeader(session="again")}, "INVALID_FIELD"),
        ({}, "INVALID_FIELD"),
    ],
)
def test_what_a_stream_must_not_say(
    client: Client, line: Callable[..., Line], part: dict[str, Any], told: str
) -> None:
    each = line(session(client).name)
    each.say(**part)
    assert each.refused().reason == told


def test_what_cannot_be_a_session(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="live_inputs"):
        session(client, live=["video"])
    with pytest.raises(InvalidRequest, match="max_lead_blocks"):
        session(client, lead=4)
    with pytest.raises(InvalidRequest):
        session(client, params={"nonsense": 1})
    with pytest.raises(NotFound):
        client.get_session("sessions/00000000-0000-4000-8000-000000000000")


@pytest.mark.parametrize("source", ["file", "raw"])
def test_from_the_command_line(server: Server, tmp_path: Path, source: str) -> None:
    """From a file of any format, and from raw samples as they are spoken; what was said is in the video."""
    picture = tmp_path / "face.png"
    Image.new("RGB", (64, 48)).save(picture)
    said = (np.sin(np.arange(len(sound(2))) / 5) * 8000).astype("<i2")
    with wave.open(str(tmp_path / "said.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(said.tobytes())
    audio = str(tmp_path / "said.wav") if source == "file" else "-"
    run = subprocess.run(
        [Path(sys.executable).parent / "wancore-client", "talk", "--image", picture, "--audio", audio,
         "--family", "faulty", "--param", f"block_frames={BLOCK}", "--out", tmp_path / "out.mp4"],
        input=said.tobytes(), capture_output=True, timeout=60,
        env={**os.environ, "WANCORE_ADDRESS": server.address, "WANCORE_TOKEN": server.token},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr.decode()
    assert len(read_video(tmp_path / "out.mp4").frames) == 2 * BLOCK
    heard = read_audio(tmp_path / "out.mp4")
    assert np.corrcoef(heard[2000:14_000], said[2000:14_000])[0, 1] > 0.98


def test_a_drain_ends_sessions(tmp_path: Path) -> None:
    """Fault 35: told in the stream, and the server ends."""
    with running(tmp_path, drain_s=0.2, **SHORT) as (server, client), session(client) as live:
        live.push(sound(1.5))
        frames = iter(live.frames())
        assert next(frames).index == 0  # it runs, and its stream is there to be told
        server.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        with pytest.raises(SessionEnded) as caught:
            list(frames)
        assert caught.value.reason == "DRAINING"
        assert server.process.wait(10) == 0  # type: ignore[union-attr]
        live.result = live.result or pb.SessionEnd()


def reason(status: Any) -> str:
    return ApiError(status).reason
