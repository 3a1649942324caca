"""What streaming costs, and what the server adds to a generation. On the CPU, over loopback.

    OMP_NUM_THREADS=1 python -m benchmarks.streaming [--overhead-only | --streams-only] [--model FOLDER]

Streams: raw frames of a finished job, from the real server to the client library in processes of their
own, against a bare grpc.aio server that sends messages of the same size to a bare reader. Overhead: a
generation through the client against `engine.generate` in this process, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from wancore_client import Client

import wancore.embedded
from tests.server.harness import Server

ROUNDS = 3
EMBEDDED = Path(wancore.embedded.__file__).parent / "model"
PART_BYTES = 2_800_000  # as the server cuts frames
SIZES = {(512, 512): 160, (1920, 1080): 32}  # frames that one client reads
CLIENTS = (1, 8)
DEFAULTS = {
    "heartbeat_s": 5, "viewer_stall_s": 30, "worker_beat_s": 1, "worker_silence_s": 30,
    "worker_patience_s": 120, "watchdog_min_s": 600, "canary_s": 600, "housekeeping_s": 30,
    "keepalive_time_s": 20, "keepalive_timeout_s": 10,
}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Of all clients together. `server`, `clients`: processor seconds."""

    frames: int
    size: int
    seconds: float
    server: float
    clients: float

    @property
    def rate(self) -> float:
        return self.frames / self.seconds

    def row(self) -> str:
        per_frame = [1000 * spent / self.frames for spent in (self.server, self.clients)]
        rate = self.size / self.seconds / 2**20
        return f"{self.rate:.0f} | {rate:.0f} | {per_frame[0]:.2f} | {per_frame[1]:.2f}"


def spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def read_at_once(count: int, server: psutil.Process, frames: int, *role: str) -> Cost:
    """Starts `count` readers, lets them go together, and adds up what they tell."""
    command = [sys.executable, "-m", "benchmarks.bare_stream", *role]
    readers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for reader in readers:
        assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
    before = spent(server)
    for reader in readers:
        assert reader.stdin is not None
        reader.stdin.write("go\n")
        reader.stdin.flush()
    told = [json.loads(reader.communicate()[0]) for reader in readers]
    return Cost(
        frames * count,
        sum(t["bytes"] for t in told),
        max(t["ended"] for t in told) - min(t["begun"] for t in told),
        spent(server) - before,
        sum(t["processor"] for t in told),
    )


@contextmanager
def floor(width: int, height: int, frames: int) -> Iterator[tuple[psutil.Process, str]]:
    """A bare server whose messages are as long as the parts of such frames."""
    size = width * height * 3
    parts = -(-size // PART_BYTES)
    command = [sys.executable, "-m", "benchmarks.bare_stream", "serve", str(-(-size // parts))]
    process = subprocess.Popen([*command, str(parts * frames)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield psutil.Process(process.pid), process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def middle(costs: Sequence[Cost]) -> Cost:
    return sorted(costs, key=lambda cost: cost.rate)[len(costs) // 2]


@contextmanager
def serving(folder: Path, plugins: tuple[str, ...], **environment: str) -> Iterator[tuple[Server, Client]]:
    server = Server(folder, plugins=plugins, **DEFAULTS)
    server.extra_environment = environment
    try:
        with server.start().client() as client:
            server.ready(client, 120)
            os.environ["WANCORE_TOKEN"] = server.token  # for the readers
            yield server, client
    finally:
        server.end()


def streams() -> None:
    print("| frames | clients | | frames/s | MiB/s | server CPU ms/frame | client CPU ms/frame |")
    print("|---|---|---|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), ("faulty",)) as (server, client),
    ):
        assert server.process is not None
        gateway = psutil.Process(server.process.pid)
        for (width, height), frames in SIZES.items():
            made = client.create(family="steady", size=(width, height), frames=frames)
            client.watch(made.name, frames=False).wait()
            for clients in CLIENTS:
                ours, least = [], []
                for _ in range(ROUNDS):
                    ours.append(read_at_once(clients, gateway, frames, "watch", server.address, made.name))
                    with floor(width, height, frames) as (bare, address):
                        least.append(read_at_once(clients, bare, frames, "read", address))
                for name, costs in (("server", ours), ("floor", least)):
                    print(f"| {width}x{height} | {clients} | {name} | {middle(costs).row()} |", flush=True)


REQUEST = {"size": (128, 128), "frames": 33, "seed": 1}


def by_engine(model: str) -> Callable[[], None]:
    from wancore.engine import Engine
    from wancore.request import parse_request
    from wancore.runtime.settings import load_settings

    engine = Engine(load_settings(model=model, plugins=["wan"]))
    width, height = REQUEST["size"]  # type: ignore[misc]
    request = parse_request({"model": model, "prompt": "a red ball", **REQUEST, "size": f"{width}x{height}"})

    def run() -> None:
        for _ in engine.generate(request):
            pass

    return run


def overhead(model: str) -> None:
    """Wall time, and processor time of every process that takes part."""
    rounds, wall, processor = 5, {"engine": [], "server": []}, {"engine": [], "server": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), ("wan", "faulty"), WANCORE_MODEL=model) as (server, client),
    ):
        assert server.process is not None
        gateway = psutil.Process(server.process.pid)
        processes = {
            "engine": [psutil.Process()],
            "server": [psutil.Process(), gateway, *gateway.children(recursive=True)],
        }
        run = {
            "engine": by_engine(model),
            "server": lambda: client.generate("a red ball", **REQUEST).wait(),  # type: ignore[arg-type]
        }
        for count in range(rounds + 1):
            for name in run:
                before, begun = sum(spent(p) for p in processes[name]), time.perf_counter()
                run[name]()
                if count:  # the first of each warms up
                    wall[name].append(time.perf_counter() - begun)
                    processor[name].append(sum(spent(p) for p in processes[name]) - before)
    print("| | wall s (all) | wall s, median | CPU s, median |")
    print("|---|---|---|---|")
    for name in wall:
        every = " ".join(f"{t:.2f}" for t in wall[name])
        middle_of = [statistics.median(times[name]) for times in (wall, processor)]
        print(f"| {name} | {every} | {middle_of[0]:.3f} | {middle_of[1]:.3f} |")
    for name, times in (("wall", wall), ("CPU", processor)):
        ratio = statistics.median(times["server"]) / statistics.median(times["engine"]) - 1
        print(f"\n{name} overhead: {100 * ratio:+.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--streams-only", action="store_true")
    parser.add_argument("--overhead-only", action="store_true")
    parser.add_argument("--model", help="folder of a model [the one that comes with wancore]")
    chosen = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1: the workers have one thread, so the engine must have one here")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    if not chosen.overhead_only:
        streams()
    if not chosen.streams_only:
        overhead(chosen.model or str(EMBEDDED))


if __name__ == "__main__":
    main()
