"""The engine behind the server: a tiny random model from the first byte to the last."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from wancore_client import Client, InvalidRequest
from wancore_proto.v1 import admin_service_pb2 as admin
from wancore_proto.v1 import admin_service_pb2_grpc, job_pb2

from tests.engine.tiny import engine, small
from tests.server.harness import Server, eventually
from wancore.events import Frames
from wancore.media.video import read_video
from wancore.request import parse_request
from wancore.testing import make_tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for kind in ("t2v", "i2v"):
        make_tiny(kind, root / kind)
    return root


@pytest.fixture(scope="module")
def shared(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    server = Server(
        tmp_path_factory.mktemp("engine"), plugins=("wan", "infinitetalk"), worker_silence_s=10,
        worker_patience_s=60, watchdog_min_s=60, probe_s=60, checker_s=8,
    )  # fmt: skip
    server.extra_environment = {"WANCORE_MODELS": str(models), "WANCORE_MODEL": "t2v"}
    try:
        with server.start().client() as client:
            server.ready(client, 60)
            yield server, client
    finally:
        server.end()


REQUEST = {"size": (64, 48), "frames": 9, "steps": 3, "seed": 7}


def test_the_frames_are_the_engine_s(server: Server, client: Client, models: Path) -> None:
    generation = client.generate("a red ball", **REQUEST)
    frames = np.stack([frame.pixels for frame in generation.frames()])
    events = engine().generate(small(models / "t2v"))
    expected = np.concatenate([e.frames for e in events if isinstance(e, Frames)])
    assert np.array_equal(frames, expected)
    assert client.job(generation.job).spec.family == "families/wan"
    assert "Traceback" not in server.log.read_text()


def test_models_are_listed_and_resident(server: Server, client: Client) -> None:
    client.generate("a red ball", **REQUEST).wait()
    listed = {m.display_name: m for m in client.models()}
    assert listed["t2v"].default_model and listed["t2v"].family == "families/wan" and listed["t2v"].serving
    eventually(lambda: list(next(m for m in client.models() if m.default_model).resident_on) == ["workers/0"])
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as answer:
        assert 'wancore_model_load_seconds_count{model="models/t2v"}' in answer.read().decode()
    stub = admin_service_pb2_grpc.AdminServiceStub(client.calls)
    client.call(stub.LoadModel, admin.LoadModelRequest(model=listed["i2v"].name))
    eventually(lambda: [m.name for m in client.models() if m.resident_on] == [listed["i2v"].name])
    client.call(stub.UnloadModel, admin.UnloadModelRequest(model=listed["i2v"].name))
    eventually(lambda: not any(m.resident_on for m in client.models()))


def test_a_picture_reaches_the_model(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "start.png"
    Image.fromarray(np.full((48, 64, 3), 200, np.uint8)).save(path)
    generation = client.generate("a red ball", model="i2v", inputs={"image": path}, **REQUEST)
    assert len(list(generation.frames())) == 9


def test_what_only_the_family_can_know_refuses_the_call(client: Client) -> None:
    wrong: dict[str, Any] = {**REQUEST, "frames": 10, "size": (72, 48), "guidance": [3.0, 4.0]}
    with pytest.raises(InvalidRequest) as caught:
        client.create("a red ball", **wrong)
    assert set(caught.value.fields) == {"spec.shape.frame_count", "spec.shape", "spec.sampling.guidance"}
    job = client.create("a red ball", validate_only=True, **{**REQUEST, "frames": 13})
    assert job.format.frame_count == 13 and job.format.frame_rate.numerator == 16


def test_closing_cancels_within_a_step(client: Client) -> None:
    generation = client.generate("a red ball", **{**REQUEST, "steps": 500})
    results = []
    for event in generation.events:
        generation.take(event)
        if generation.progress.step == 2:
            generation.cancel()
        if event.WhichOneof("event") == "result":
            results.append(event.result.state)
    assert results == [job_pb2.Job.STATE_CANCELLED]


def test_a_live_session_makes_the_engine_s_frames(client: Client) -> None:
    """The small face that comes with InfiniteTalk; sound in two parts."""
    from wancore.embedded import embedded_for
    from wancore.live import Live
    from wancore.plugins import plugin_manager

    sound = (np.sin(np.arange(8_000) / 9) * np.sin(np.arange(8_000) / 900) * 9_000).astype("<i2")
    params = {"window": 9, "motion_frame": 5}
    with client.session(
        family="infinitetalk", model="tiny-talking-face", steps=1, size=(32, 32), seed=3, params=params
    ) as live:
        live.push(sound[:3_000])
        live.push(sound[3_000:])
        live.finish()
        frames = np.stack([frame.pixels for frame in live.frames()])
    feed = Live()
    feed.push(sound.astype(np.float32) / np.float32(32768))
    feed.end()
    model = str(embedded_for(plugin_manager(), "infinitetalk").folder)
    fields = {"family": "infinitetalk", "model": model, "steps": 1, "size": "32x32", "seed": 3}
    request = parse_request({**fields, "params": params, "live": ("audio",)})
    events = engine().generate(request, feed)
    expected = np.concatenate([event.frames for event in events if isinstance(event, Frames)])
    assert len(frames) == 12 and np.array_equal(frames, expected)


def blocks_of_readme(heading: str) -> list[str]:
    """The blocks of code below a heading of the README."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```\w*\n(.*?)```", section, re.DOTALL)


def test_the_first_requests_of_the_readme(server: Server, tmp_path: Path) -> None:
    """As they stand there, on the shell and in Python; only smaller: this model would make 81 frames."""
    serve, shell, python = blocks_of_readme("As a service")
    program, *arguments = shlex.split(shell)
    assert serve == ".venv/bin/wancore serve\n" and program == ".venv/bin/wancore-client"

    def run(*command: str | Path) -> str:
        told = {**os.environ, "WANCORE_ADDRESS": server.address, "WANCORE_TOKEN": server.token}
        done = subprocess.run(command, cwd=tmp_path, env=told, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    small = ["--size", "64x48", "--frames", "5", "--steps", "1"]
    run(Path(sys.executable).with_name("wancore-client"), *arguments, *small)
    assert read_video(tmp_path / "ball.mp4").frames.shape == (5, 48, 64, 3)
    python, made = re.subn(r'(\.generate\("[^"]+")\)', r"\1, size=(64, 48), frames=5, steps=1)", python)
    assert made == 1
    assert run(sys.executable, "-c", python).splitlines() == [f"{index} (48, 64, 3)" for index in range(5)]
