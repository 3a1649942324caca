"""Live sessions over a real socket: frames come back while sound goes in."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from wancore_client import AsyncClient, Client, InvalidRequest, NotFound

from tests.server.harness import Server, eventually
from tests.server.sessions.lines import BLOCK, FPS, RATE, expected, session, sound
from wancore.media.audio import read_audio
from wancore.media.video import read_video


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
        heard = [n for whole in wholes for n in live.samples(whole)]
        assert heard == list(range(13 * RATE // FPS)), "every sample is heard once, in its place"
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


def observed(server: Server, name: str) -> float:
    """The sum of a histogram."""
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=5) as answer:
        line = next(s for s in answer.read().decode().splitlines() if s.startswith(f"wancore_{name}_sum"))
    return float(line.split()[-1])


def test_words_change_from_the_next_block_on(server: Server, client: Client) -> None:
    """And the time until they are seen is measured."""
    before = observed(server, "control_to_frame_seconds")
    with session(client, params={"step_s": 0.2}) as live:
        live.push(sound(4))
        live.finish()
        frames = []
        for frame in live.frames():
            frames.append(frame.pixels)
            if frame.index == BLOCK - 1:
                asked, id = time.monotonic(), live.steer("other words")
                eventually(lambda: client.get_session(live.name).block_count == 2)
                begun = time.monotonic() - asked  # the next block has no leave before its frame is asked for
            if frame.index == 2 * BLOCK:
                seen = time.monotonic() - asked
        effect = live.controls[id]
    assert effect == 2
    assert begun + 0.1 < observed(server, "control_to_frame_seconds") - before < seen
    assert np.array_equal(np.stack(frames), expected(["abc", "abc", "other words", "other words"]))


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


def test_what_cannot_be_a_session(client: Client) -> None:
    with pytest.raises(InvalidRequest, match=r"live_inputs: .* arrive live: audio"):
        session(client, live=["video"])
    with session(client) as live, pytest.raises(ValueError, match="no numbers"):
        live.push(np.array([0.1, np.nan]))
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


def talk(server: Server, *more: str | Path, **how: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [Path(sys.executable).parent / "wancore-client", "talk", "--family", "faulty", *more],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "WANCORE_ADDRESS": server.address, "WANCORE_TOKEN": server.token}, **how,
    )  # fmt: skip


def test_what_the_command_line_cannot_use(server: Server, tmp_path: Path) -> None:
    """One line each: an output that cannot be written, sound for no frame, and sound of no numbers."""
    (tmp_path / "file").touch()
    blocked = talk(server, "--audio", "-", "--out", tmp_path / "file" / "out.mp4")
    short = talk(server, "--audio", "-", "--out", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "nan.wav"), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.full((1, RATE), np.nan, np.float32), "flt", "mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
    none = talk(server, "--audio", tmp_path / "nan.wav", "--out", tmp_path / "out.mp4")
    told = [each.communicate(b"\0\0", timeout=60)[1].decode() for each in (blocked, short, none)]
    assert [text.count("\n") for text in told] == [1, 1, 1], told
    assert "--out: got" in told[0] and "0.000 s of sound" in told[1] and "no numbers" in told[2]
    assert not (tmp_path / "out.mp4").exists()


def test_an_interrupt_ends_the_session_and_leaves_no_trace(server: Server, tmp_path: Path) -> None:
    """Also while it waits for more sound on its standard input."""
    speaking = talk(server, "--audio", "-", "--param", f"block_frames={BLOCK}", "--out", tmp_path / "out.rgb")
    assert speaking.stdin is not None and speaking.stderr is not None
    speaking.stdin.write(sound(1).tobytes())
    speaking.stdin.flush()
    assert b"block 0" in speaking.stderr.readline()
    speaking.send_signal(signal.SIGINT)
    assert speaking.communicate(timeout=20)[1] == b"" and speaking.returncode == 130
