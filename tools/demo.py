"""A server with the model that comes with the engine, a video through the client, and its contact sheet.

    python tools/demo.py OUT

Writes OUT/demo.mp4 and OUT/demo.png, a red ball that bounces, and prints how long the request took.
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

READY_S, STOP_S = 90, 30
REQUEST = (
    "--prompt", "a red ball bounces on a green field", "--size", "128x128", "--frames", "33",
    "--seed", "1",
)  # fmt: skip


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    state = str((out / "state").absolute())
    environment = {**os.environ, "XDG_STATE_HOME": state, "WANCORE_ADDRESS": address}
    with server(address, out / "server.log", environment):
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
def server(address: str, log_file: Path, environment: dict[str, str]) -> Iterator[None]:
    """`wancore serve` while in use; stopped with SIGTERM, which drains it."""
    log = log_file.open("w")
    arguments = ["serve", "--address", address, "--metrics-address", ""]
    process = subprocess.Popen([command("wancore"), *arguments], env=environment, stderr=log, stdout=log)
    try:
        wait_for(address, process, log_file)
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
