"""Faults 22 and 23: the gateway is killed at every place where it writes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from wancore_client import Client
from wancore_proto.v1 import asset_service_pb2, job_pb2

from tests.server.faulty.wancore_faulty import picture
from tests.server.harness import Server, eventually, health, succeeds
from tests.server.stored import FINAL, check_files, check_store, no_orphans

State = job_pb2.Job.State

#: One after another, each for the server that the last one left.
POINTS = {
    "before a commit": [f"store-before-commit:{n}" for n in (3, 6, 10)],
    "after a commit": [f"store-after-commit:{n}" for n in (2, 5, 9)],
    "at a block": ["spool-after-sync:1", "spool-after-sync:2"],
    "beside the store": [
        "asset-before-row:2", "asset-after-row:1", "track-before-index:1", "job-after-row:1"
    ],
}  # fmt: skip


class Workload:
    """Jobs with a kept encoding, uploads and deletions, while `alive()`; what the server acknowledged."""

    client: Client
    alive: Callable[[], bool]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, int] = {}  # name -> seed
        self.assets: list[str] = []
        self.round = 0

    def asked(self, call: Callable[[], Any]) -> Any:
        """The result, or None where the server says no or is gone."""
        return succeeds(call) if self.alive() else None

    def turn(self) -> None:
        self.round += 1
        seed = self.round
        job = self.asked(lambda: self.client.create(family="faulty", frames=6, seed=seed, keep=["png"]))
        if job is not None:
            self.jobs[job.name] = seed
        path = self.folder / f"tracks-{self.round}"
        path.write_bytes(f"data {self.round}".encode())
        name = self.asked(lambda: self.client.upload(path))
        if name is not None:
            self.assets.append(name)
        self.forget_some()

    def forget_some(self) -> None:
        """Once asked, a deletion may or may not have happened."""
        first = next(iter(self.jobs), None)
        job = self.asked(lambda: self.client.job(str(first))) if first is not None else None
        if job is not None and job.state in FINAL:
            del self.jobs[job.name]
            self.asked(lambda: self.client.delete(job.name))
        if len(self.assets) > 1:
            request = asset_service_pb2.DeleteAssetRequest(name=self.assets.pop(0))
            self.asked(lambda: self.client.call(self.client.asset_calls.DeleteAsset, request))


def until_it_dies(server: Server, point: str, work: Workload) -> None:
    """Starts the server to die at `point`, and gives it work until it has; nothing of it runs on."""
    server.settings["fail_point"] = point
    (server.data / "server.json").unlink(missing_ok=True)
    process, pids = server.launch(), set[int]()
    eventually(lambda: (server.data / "server.json").exists() or process.poll() is not None, 30)
    if process.poll() is None:
        server.address = json.loads((server.data / "server.json").read_text())["address"]
        with server.client(patience_s=0.5) as client:
            work.client, work.alive = client, lambda: process.poll() is None
            while process.poll() is None:
                pids |= {p.pid for p in server.children()}
                work.turn()
                time.sleep(0.05)
    process.wait(10)
    assert process.returncode == -signal.SIGKILL, point
    eventually(lambda: no_orphans(pids), 5)
    assert {name.removeprefix("jobs/") for name in work.jobs} <= set(check_store(server)), point


@pytest.mark.parametrize("where", POINTS)
def test_the_gateway_dies_at_a_write(tmp_path: Path, where: str) -> None:
    """Faults 22, 23 and 41: what was acknowledged is there, states are legal, nothing runs on."""
    server = Server(tmp_path)
    work = Workload(tmp_path)
    try:
        for point in POINTS[where]:
            until_it_dies(server, point, work)
            server.address = "127.0.0.1:0"
        server.settings["fail_point"] = ""
        server.start()
        with server.client() as client:
            assert health(client, "")
            for name, seed in work.jobs.items():
                generation = client.watch(name, encoding="png")
                got = [(generation.attempt, frame) for frame in generation.frames()]
                last = [Image.open(BytesIO(f.data)) for attempt, f in got if attempt == generation.attempt]
                assert len(last) == 6
                for i, made in enumerate(last):
                    assert np.array_equal(made, picture(seed, i, 64, 48))
            names = asset_service_pb2.CheckAssetsRequest(names=work.assets)
            assert not client.call(client.asset_calls.CheckAssets, names).missing
            # Three times the ten seconds: a worker's own start is in them, which no setting makes shorter.
            eventually(lambda: health(client, "wancore.v1.JobService"), 3 * 10)
        assert server.stop() == 0
        check_store(server)
        check_files(server)
    finally:
        server.end()
