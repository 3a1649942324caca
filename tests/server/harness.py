"""A real server process with the faulty plugin, its timings scaled down by ordinary settings.

With `WANCORE_TEST_TIMINGS=default` the timings are the server's own (`make test-faults`): a test's own ones
are left out then, and bounds follow through `timing`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from wancore_client import Client
from wancore_server.settings import ServerSettings

HERE = Path(__file__).parent
FAST = {
    "heartbeat_s": 0.3, "viewer_stall_s": 2.0, "disconnect_grace_s": 0.5, "cancel_grace_s": 0.5,
    "terminate_grace_s": 0.3, "worker_beat_s": 0.1, "worker_silence_s": 1.5, "worker_patience_s": 10.0,
    "watchdog_min_s": 8.0, "restart_first_s": 0.05, "restart_most_s": 0.5, "canary_s": 0.5, "health_s": 3.0,
    "spool_wait_s": 1.0, "drain_s": 5.0, "housekeeping_s": 0.5, "client_ping_s": 0.2,
    "keepalive_time_s": 1.0, "keepalive_timeout_s": 1.0, "free_bytes": 0, "free_share": 0.0,
}  # fmt: skip


DEFAULTS = os.environ.get("WANCORE_TEST_TIMINGS") == "default"
#: Not for speed: room on this disk. The back-off is capped, since these tests lose workers all the time.
ALWAYS = {"free_bytes": 0, "free_share": 0.0, "restart_most_s": 4.0}
TIMINGS = {*FAST, "probe_s", "store_busy_s"} - set(ALWAYS)
PATIENCE = 9 if DEFAULTS else 1  # how much longer what has no promised bound may take


def timing(name: str) -> float:
    """A setting as it is in effect, unless a test says otherwise."""
    value = ServerSettings.model_fields[name].default if DEFAULTS else FAST[name]
    return float(value)


def in_effect(settings: Mapping[str, Any]) -> dict[str, Any]:
    if not DEFAULTS:
        return {**FAST, **settings}
    return {**ALWAYS, **{name: value for name, value in settings.items() if name not in TIMINGS}}


def install_faulty(folder: Path) -> Path:
    """A folder for PYTHONPATH in which the faulty plugin is an installed distribution."""
    site = folder / "site"
    info = site / "wancore_faulty-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wancore-faulty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[wancore.plugins]\nfaulty = wancore_faulty\nstrict = wancore_strict\n"
    )
    for module in (HERE / "faulty").glob("*.py"):
        (site / module.name).write_text(module.read_text())
    return site


class Server:
    """One data folder, and the server processes that use it one after another."""

    def __init__(self, folder: Path, plugins: tuple[str, ...] = ("faulty",), **settings: Any) -> None:
        self.folder, self.data = folder, folder / "data"
        self.site = install_faulty(folder)
        self.state = folder / "faulty-state"
        self.state.mkdir(exist_ok=True)
        self.plugins = plugins
        self.settings: dict[str, Any] = in_effect(settings)
        self.process: subprocess.Popen[bytes] | None = None
        self.address = "127.0.0.1:0"
        self.metrics_address = ""
        self.log = folder / "server.log"
        self.extra_environment: dict[str, str] = {}
        self.python = sys.executable

    def environment(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("WANCORE_")}
        env |= {
            "PYTHONPATH": str(self.site),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "WANCORE_FAULTY_STATE": str(self.state),
            "WANCORE_PLUGINS": json.dumps(list(self.plugins)),
            "OMP_NUM_THREADS": "1",
        }
        for name, value in self.settings.items():
            env[f"WANCORE_SERVE_{name.upper()}"] = value if isinstance(value, str) else json.dumps(value)
        env |= {
            "WANCORE_SERVE_DATA": str(self.data),
            "WANCORE_SERVE_ADDRESS": self.address,
            "WANCORE_SERVE_METRICS_ADDRESS": str(self.settings.get("metrics_address", "127.0.0.1:0")),
        }
        return env | self.extra_environment

    def launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.python, "-m", "wancore_server", "serve"],
                env=self.environment(), stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        return self.process

    def start(self, timeout: float = 30.0 * PATIENCE) -> Server:
        """Launches it and waits until it can be asked."""
        (self.data / "server.json").unlink(missing_ok=True)
        process = self.launch()
        until = time.monotonic() + timeout
        while not (self.data / "server.json").exists():
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)
        told = json.loads((self.data / "server.json").read_text())
        self.address, self.metrics_address = told["address"], told["metrics"]
        return self

    @property
    def token(self) -> str:
        return (self.data / "token").read_text().strip()

    def client(self, **keywords: Any) -> Client:
        return Client(self.address, keywords.pop("token", self.token), **keywords)

    def ready(self, client: Client, timeout: float = 30.0 * PATIENCE) -> None:
        """Waits until the catalogue is there."""
        eventually(lambda: bool(succeeds(client.families)), timeout)

    def kill(self) -> None:
        """As a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = 20.0 * PATIENCE) -> int:
        """Asks it to drain; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> list[psutil.Process]:
        found = []
        for child in self.children():
            try:
                if "wancore_server.worker" in child.cmdline():
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def end(self) -> None:
        """Whatever the test did: nothing of it stays."""
        if self.process is None:
            return
        children = self.children()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        until = time.monotonic() + 5
        while (left := [child for child in children if runs(child)]) and time.monotonic() < until:
            time.sleep(0.01)
        for child in left:
            child.kill()


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended; who must bury it may be slow to."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def health(client: Client, service: str) -> bool:
    """Whether the standard health service says SERVING."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    answer = health_pb2_grpc.HealthStub(client.calls).Check(
        health_pb2.HealthCheckRequest(service=service), timeout=5
    )
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def succeeds(call: Any) -> Any:
    """The result, or None where the server says no."""
    from wancore_client import WancoreClientError

    try:
        return call()
    except WancoreClientError:
        return None


def eventually(condition: Any, timeout: float | None = None, pause: float = 0.02) -> None:
    timeout = 10.0 * PATIENCE if timeout is None else timeout
    until = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout} s: {condition}")
        time.sleep(pause)


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[tuple[Server, Client]]:
    server = Server(folder, **settings).start()
    try:
        with server.client() as client:
            server.ready(client)
            yield server, client
    except BaseException:
        print(server.log.read_text()[-6000:])
        raise
    finally:
        server.end()
