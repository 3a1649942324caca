"""A talking video from the client's call to its last frame, over loopback gRPC, with a breakdown by stage.

    python -m benchmarks.talking --size 14b            # one GPU with 80 GB; about six minutes
    python -m benchmarks.talking --size tiny           # on the CPU, to see that it runs

Random weights of the released shapes in real files, the real server and client. The request: an image,
5 s of sound, 120 frames of 512x512 at 24 fps, a rank-64 LoRA merged into the weights, guidance 1. Each row is
one warm request. Parts: `floor`, what the computations take alone; `warm`; `short`, with the shorter last
window; `two`, two speakers; `settled`, from a server that waits for the device after each stage; `beside`,
from one that computes the LoRA beside the weights.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from wancore_client import Client, WancoreClientError
from wancore_proto.v1 import job_pb2

from benchmarks.talking_model import REAL, TINY, write_model

RATE = 16_000


@dataclass(frozen=True)
class Work:
    """What is asked for."""

    size: tuple[int, int]
    frames: int
    fps: int
    steps: tuple[int, ...]
    window: int
    device: str
    start_s: float

    @property
    def seconds(self) -> float:
        return self.frames / self.fps


WORKS = {
    "14b": Work((512, 512), 120, 24, (3, 2), 81, "cuda", 300),
    "tiny": Work((32, 32), 20, 24, (2,), 13, "cpu", 120),
}


@dataclass
class Took:
    """One request, in seconds.

    `steps`: of each window. `stages`: as the engine measured them. `reached`: from the call until the client
    heard of each turn.
    """

    total: float
    first_frame: float
    frames: int
    steps: list[list[float]] = field(default_factory=list)
    stages: Mapping[str, float] = field(default_factory=dict)
    reached: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        windows = "; ".join(
            f"window {i} " + " ".join(f"{s:.2f}" for s in w) for i, w in enumerate(self.steps)
        )
        stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in sorted(self.stages.items()))
        served = self.total - sum(self.stages.values())
        return (
            f"total {self.total:.2f} s, first frame {self.first_frame:.2f} s, {self.frames} frames\n"
            f"    {windows}\n    {stages}; beside them {served:.2f}\n"
            "    until " + ", ".join(f"{name} {seconds:.3f}" for name, seconds in self.reached.items())
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=WORKS, required=True)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--root", type=Path, help="keep the model here, and take what is there")
    parser.add_argument("--parts", default="floor,warm,short,two,settled,beside")
    parser.add_argument(
        "--param", action="append", default=[], help="further NAME=VALUE of the server's settings"
    )
    parser.add_argument("--text-layers", type=int, help="of the text encoder, to write less")
    given = parser.parse_args()
    work = WORKS[given.size]
    with tempfile.TemporaryDirectory(dir=given.root and given.root.parent) as folder:
        root = given.root or Path(folder) / "models"
        started = time.monotonic()
        if not root.exists():
            write_model(root, REAL if given.size == "14b" else TINY, work.device, 64, given.text_layers)
            print(f"wrote {size_of(root) / 1e9:.1f} GB in {time.monotonic() - started:.0f} s", flush=True)
        if work.device == "cuda" and "floor" in given.parts:
            from benchmarks.talking_floor import floor

            print(floor(root, work.steps), flush=True)
        measure(root, Path(folder), work, given)
    if work.device == "cuda":
        from benchmarks.gpu import describe

        print(describe())


def measure(root: Path, folder: Path, work: Work, given: argparse.Namespace) -> None:
    inputs = {"image": picture(folder / "face.png", work.size), "audio": speech(folder / "speech.wav", work)}
    parts = given.parts.split(",")
    extra = {"WANCORE_LORA_MODE": "merged", **dict(text.split("=", 1) for text in given.param)}
    with serving(root, folder / "first", work, extra) as client:
        print("cold, 1 step:", request(client, inputs, work, 1), flush=True)
        for steps in work.steps if "warm" in parts else ():
            for _ in range(given.repeats):
                print(f"{steps} steps:", request(client, inputs, work, steps), flush=True)
        for steps in work.steps[-1:] if "short" in parts else ():
            for _ in range(given.repeats):
                short = request(client, inputs, work, steps, short_last_window=True)
                print(f"{steps} steps, shorter last window:", short, flush=True)
        for steps in work.steps if "two" in parts else ():
            both = {"image": inputs["image"], **{f"audio[{i}]": inputs["audio"] for i in (0, 1)}}
            two = request(client, both, work, steps, audio_type="para")
            print(f"{steps} steps, two speakers:", two, flush=True)
    apart(root, folder, work, inputs, {**extra, "WANCORE_STAGE_TIMING": "1"}, "settled", parts)
    apart(root, folder, work, inputs, {**extra, "WANCORE_LORA_MODE": "on-the-fly"}, "beside", parts)


def apart(
    root: Path,
    folder: Path,
    work: Work,
    inputs: Mapping[str, Path],
    settings: Mapping[str, str],
    part: str,
    parts: Sequence[str],
) -> None:
    """A part that needs a server with other settings."""
    if part not in parts:
        return
    with serving(root, folder / part, work, settings) as client:
        request(client, inputs, work, 1)
        for steps in work.steps:
            print(f"{steps} steps, {part}:", request(client, inputs, work, steps), flush=True)


def request(client: Client, inputs: Mapping[str, Path], work: Work, steps: int, **params: Any) -> Took:
    """One request, from the call on; the files were uploaded by the first."""
    settings = {
        "audio_scale": 1.0,
        "window": work.window,
        "motion_frame": 9 if work.window > 9 else 5,
        **params,
    }
    marks: dict[int, list[float]] = {}
    reached: dict[str, float] = {}
    started = time.perf_counter()

    def event(e: job_pb2.JobEvent) -> None:
        now = time.perf_counter()
        if turn := turn_of(e):
            reached.setdefault(turn, now - started)
        if e.WhichOneof("event") == "stage" and e.stage.stage == job_pb2.STAGE_DENOISING and e.stage.step:
            marks.setdefault(e.stage.window, []).append(now)

    generation = client.generate(
        "a person talks to the camera", family="infinitetalk", inputs=inputs, size=work.size, fps=work.fps,
        frames=work.frames, steps=steps, guidance=1.0, seed=1, params=settings, loras=["distilled"],
        on_event=event,
    )  # fmt: skip
    first, frames = 0.0, 0
    for _ in generation.frames():
        frames += 1
        first = first or time.perf_counter() - started
    total = time.perf_counter() - started
    assert generation.result is not None
    stages = dict(generation.result.stage_seconds)
    gaps = [[b - a for a, b in pairwise(times)] for _, times in sorted(marks.items())]
    return Took(total, first, frames, gaps, stages, reached)


def turn_of(event: job_pb2.JobEvent) -> str:
    """Which turn of a request an event tells of, if any."""
    kind = event.WhichOneof("event")
    if kind == "stage":
        return job_pb2.Stage.Name(event.stage.stage).removeprefix("STAGE_").lower()
    turns = {"header": "checked", "attempt_started": "placed", "artifact": "heard", "frame": "first frame"}
    return turns.get(kind or "", "")


@contextmanager
def serving(root: Path, data: Path, work: Work, extra: Mapping[str, str]) -> Iterator[Client]:
    """A server process on a free port, with its usual settings."""
    data.mkdir()
    environment = {
        **os.environ, "WANCORE_MODELS": str(root), "WANCORE_DEVICE": work.device, "XDG_STATE_HOME": str(data),
        "WANCORE_PLUGINS": "wan,infinitetalk", "WANCORE_SERVE_DATA": str(data / "served"),
        "WANCORE_SERVE_ADDRESS": "127.0.0.1:0", "WANCORE_SERVE_METRICS_ADDRESS": "",
        "WANCORE_LINEARS": "fp8" if work.device == "cuda" else "stored",
        "WANCORE_MODEL": next(path.name for path in root.iterdir() if path.name != "loras"), **extra,
    }  # fmt: skip
    log = data / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "wancore_server", "serve"], env=environment, stdout=file, stderr=file
        )
    try:
        until = time.monotonic() + work.start_s
        while not (data / "served" / "server.json").exists():
            check_alive(process, log, until)
        address = json.loads((data / "served" / "server.json").read_text())["address"]
        token = (data / "served" / "token").read_text().strip()
        with Client(address, token) as client:
            while not ready(client):
                check_alive(process, log, until)
            yield client
    except BaseException:
        print(log.read_text()[-6000:], flush=True)
        raise
    finally:
        process.terminate()
        process.wait(60)


def check_alive(process: subprocess.Popen[bytes], log: Path, until: float) -> None:
    if process.poll() is not None or time.monotonic() > until:
        raise SystemExit(f"the server did not start:\n{log.read_text()[-3000:]}")
    time.sleep(0.1)


def ready(client: Client) -> bool:
    try:
        return bool(client.families()) and bool(client.loras())
    except WancoreClientError:
        return False


def picture(path: Path, size: tuple[int, int]) -> Path:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def speech(path: Path, work: Work) -> Path:
    """Syllables of noise."""
    t = np.arange(round(work.seconds * RATE)) / RATE
    samples = np.random.default_rng(1).standard_normal(len(t)) * np.clip(np.sin(8 * np.pi * t), 0, None)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 8000).clip(-32767, 32767).astype("<i2").tobytes())
    return path


def size_of(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
