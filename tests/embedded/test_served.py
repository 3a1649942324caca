"""The small talking face over the service, without a model's name: what a first user types."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.talking.tests.tiny import speech, write_wav
from tests.server.harness import Server
from wancore.media.metadata import read_metadata
from wancore.media.video import read_video

SESSIONS = Path(__file__).parents[2] / "docs" / "sessions.md"
SMALL = ["--size", "32x32", "--steps", "1"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(
        tmp_path_factory.mktemp("served"), plugins=("wan", "infinitetalk"), worker_silence_s=10,
        worker_patience_s=60, watchdog_min_s=60, probe_s=60,
    )  # fmt: skip
    try:
        with running.start().client() as client:
            running.ready(client, 60)
        yield running
    finally:
        running.end()


def test_the_first_command_of_the_page_on_sessions(server: Server, tmp_path: Path) -> None:
    """As it stands there; only smaller, and with a file of the named kind beside it."""
    program, *arguments = shlex.split(re.findall(r"```sh\n(.*?)\n", SESSIONS.read_text())[0], comments=True)
    assert program == "wancore-client" and arguments[:3] == ["talk", "--audio", "speech.mp3"]
    write_wav(tmp_path / "speech.mp3", speech(1.4))
    run = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments, *SMALL],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**os.environ, "WANCORE_ADDRESS": server.address, "WANCORE_TOKEN": server.token},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert read_video(tmp_path / "talk.mp4").frames.shape == (35, 32, 32, 3)


def test_the_mark_names_the_model_that_nobody_named(server: Server, tmp_path: Path) -> None:
    inputs = {"audio": write_wav(tmp_path / "speech.wav", speech(0.4))}
    with server.client() as client:
        size = {"size": (32, 32), "steps": 1}
        generation = client.generate(family="infinitetalk", inputs=inputs, keep=["h264-fmp4"], **size)
        generation.wait()
        video = next(a for a in client.job(generation.job).artifacts if a.media_type == "video/mp4")
        (tmp_path / "made.mp4").write_bytes(b"".join(client.read_artifact(video.name)))
    told = read_metadata(tmp_path / "made.mp4")
    assert (told["family"], told["model"]) == ("infinitetalk", "tiny-talking-face")
