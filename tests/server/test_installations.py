"""Plugins that come and go under a running server (a whole one of a third party: tests/examples)."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from wancore_proto.v1 import admin_service_pb2 as admin
from wancore_proto.v1 import admin_service_pb2_grpc, catalog_service_pb2, job_pb2

from tests.server.harness import eventually, running

FAMILY = """
from pydantic import BaseModel
from wancore.plugins import hookimpl
from wancore.plugins.family import FamilyBase
WANCORE_API = (1, 1)
class Parameters(BaseModel):
    pass
class Late(FamilyBase):
    id, name, help, inputs, parameters = "late", "Late", "came later", (), Parameters
    def recognise(self, file):
        return None
@hookimpl
def wancore_families():
    return [Late()]
"""


def install(site: Path, name: str, source: str) -> None:
    """A distribution that appears all at once, as pip's rename makes it."""
    (site / f"{name}.py").write_text(source)
    half = site / f"{name}.unpacking"
    half.mkdir()
    (half / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (half / "entry_points.txt").write_text(f"[wancore.plugins]\n{name} = {name}\n")
    half.rename(site / f"{name}-1.0.dist-info")


def test_workers_take_up_a_plugin_between_two_jobs(tmp_path: Path) -> None:
    """The job that runs is not disturbed, and the next one has another process."""
    with running(tmp_path, plugins=("faulty", "late"), plugins_s=0.1) as (server, client):
        stub = admin_service_pb2_grpc.AdminServiceStub(client.calls)

        def restarts() -> int:
            return client.call(stub.ListWorkers, admin.ListWorkersRequest()).workers[0].restart_count

        job = client.create(family="faulty", frames=2, steps=1000, params={"step_s": 0.1})
        eventually(lambda: client.job(job.name).state == job_pb2.Job.State.STATE_RUNNING, 20)
        install(server.site, "late", FAMILY)
        eventually(lambda: any(f.name == "families/late" for f in client.families()), 60)
        time.sleep(0.3)
        now = client.job(job.name)
        assert (now.state, now.attempt, restarts()) == (job_pb2.Job.State.STATE_RUNNING, 1, 0)
        client.cancel(job.name)
        eventually(lambda: restarts() == 1, 20)
        assert client.generate(family="steady", frames=1).wait().state == job_pb2.Job.State.STATE_SUCCEEDED
        (late,) = [p for p in client.plugins() if p.name == "plugins/late"]
        assert late.state == catalog_service_pb2.Plugin.STATE_LOADED

        shutil.rmtree(server.site / "late-1.0.dist-info")
        eventually(lambda: not any(f.name == "families/late" for f in client.families()), 60)
