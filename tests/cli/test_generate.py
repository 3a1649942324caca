"""`wancore generate` as a user runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.cli.conftest import command
from wancore.media.metadata import read_metadata
from wancore.media.video import read_video

SMALL = ("--size", "64x48", "--frames", 9, "--steps", 2, "--seed", 3)


@pytest.fixture
def video(wancore, model, tmp_path):
    """A finished mp4."""
    done = wancore("generate", "--prompt", "a red ball", "--model", model, *SMALL, "--out", "first.mp4")
    assert done.returncode == 0, done.stderr
    return tmp_path / "first.mp4"


def test_writes_a_video_that_can_be_repeated(video, wancore, tmp_path):
    frames = read_video(video)
    assert frames.frames.shape == (9, 48, 64, 3) and frames.fps == 16
    made = read_metadata(video)
    assert made["request"]["prompt"] == "a red ball" and made["request"]["seed"] == 3
    assert made["family"] == "wan" and made["version"]
    done = wancore("generate", "--from", video, "--out", "again.mp4")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(read_video(tmp_path / "again.mp4").frames, frames.frames)
    assert read_metadata(tmp_path / "again.mp4")["request"] == made["request"]


def test_a_file_is_not_replaced_unasked(video, wancore):
    before = video.read_bytes()
    done = wancore("generate", "--from", video, "--out", video)
    assert done.returncode == 2 and "--overwrite" in done.stderr
    assert video.read_bytes() == before


def test_pictures(wancore, model, tmp_path):
    done = wancore("generate", "--prompt", "x", "--model", model, *SMALL, "--out", "frames", "--quiet")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "frames").glob("*.png"))) == 9
    assert done.stderr == ""


def test_a_mistake_is_one_sentence(wancore, model):
    done = wancore("generate", "--prompt", "x", "--model", model, "--size", "65x48")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("wancore: size: got '65x48'") and "Traceback" not in done.stderr


@pytest.mark.parametrize("out", ["x.avi", "nowhere/x.mp4"])
def test_a_place_that_cannot_be_written_is_refused_first(out, wancore, model):
    done = wancore("generate", "--prompt", "x", "--model", model, *SMALL, "--out", out)
    assert done.returncode == 2 and done.stderr.startswith("wancore: out: got")


def test_interrupting_keeps_what_was_made(model, tmp_path):
    """Ctrl-C while frames are coming: those so far are there, and the command says so."""
    out = tmp_path / "frames"
    long = ("--size", "64x64", "--frames", 801, "--steps", 1, "--seed", 1)
    process = subprocess.Popen(
        command("generate", "--prompt", "x", "--model", model, *long, "--out", out),
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not (out / "000000.png").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    count = len(list(out.glob("*.png")))
    assert 1 <= count < 801
    assert f"interrupted: the first {count} frames" in errors


def test_raw_frames_on_standard_output_without_a_network(model, tmp_path):
    """Frames and nothing else go there, and no socket is opened to anywhere."""
    script = tmp_path / "offline.py"
    script.write_text(
        "import sys\n"
        "def refuse(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'):\n"
        "        raise RuntimeError(f'network: {event} {args}')\n"
        "sys.addaudithook(refuse)\n"
        "from wancore.cli import main\n"
        "main()\n"
    )
    arguments = ("generate", "--prompt", "x", "--model", model, *SMALL, "--out", "-")
    done = subprocess.run([sys.executable, script, *map(str, arguments)], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 9 * 48 * 64 * 3
    assert b"seed 3" in done.stderr
