"""A server with a tiny model, a video through the client, and its contact sheet.

    python tools/demo.py OUT

Writes OUT/demo.mp4 and OUT/demo.png and prints how long the first frame took. The model has random
weights: it shows the whole way from a prompt to frames, not a picture worth looking at.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, only this folder is there

from wancore.testing import make_tiny

READY_S, STOP_S = 90, 30
REQUEST = (
    "--prompt", "a red fox runs through the snow", "--size", "128x128", "--frames", "33",
    "--steps", "6", "--seed", "1",
)  # fmt: skip


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model = make_tiny("t2v", out / "tiny")
    address = f"127.0.0.1:{free_port()}"
    state = str((out / "state").absolute())
    environment = {**os.environ, "XDG_STATE_HOME": state, "WANCORE_ADDRESS": address}
    with server(address, model, environment):
        started = time.perf_counter()
        subprocess.run(
            [command("wancore-client"), "generate", *REQUEST, "--out", str(out / "demo.mp4")],
            env=environment, check=True,
        )  # fmt: skip
        print(f"the whole request took {time.perf_counter() - started:.1f} s")
    sheet = [sys.executable, str(Path(__file__).with_name("contact_sheet.py"))]
    subprocess.run([*sheet, str(out / "demo.mp4"), str(out / "demo.png"), "--columns", "6"], check=True)
    print(f"{out / 'demo.mp4'}, {out / 'demo.png'}")


@contextmanager
def server(address: str, model: Path, environment: dict[str, str]) -> Iterator[None]:
    """`wancore serve` while in use; stopped with SIGTERM, which drains it."""
    log = (model.parent / "server.log").open("w")
    arguments = ["serve", "--address", address, "--metrics-address", "", "--model", str(model.absolute())]
    process = subprocess.Popen([command("wancore"), *arguments], env=environment, stderr=log, stdout=log)
    try:
        wait_for(address, process, Path(log.name))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server takes connections."""
    host, port = address.split(":")
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server stopped: {log.read_text()[-2000:]}")
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.2)
    raise SystemExit(f"the server did not start within {READY_S} s; see {log}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(name: str) -> str:
    """A console script of this environment."""
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
