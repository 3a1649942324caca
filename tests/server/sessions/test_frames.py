"""Live sessions over a real socket: frames come back while sound goes in."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import wave
from pathlib import Path

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
