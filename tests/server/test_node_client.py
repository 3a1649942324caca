"""The API from another language: plain Node, the protos and stock packages, nothing of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import google.rpc
import pytest

from tests.server.faulty.wancore_faulty import picture
from tests.server.harness import Server

NODE = Path(__file__).parent / "node"
PROTOS = Path(__file__).parents[2] / "proto"
GOOGLEAPIS = Path(next(iter(google.rpc.__path__))).parents[1]
WIDTH, HEIGHT, FRAMES, SEED = 1200, 1000, 5, 3  # a frame of more than one part

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the client with its dependencies installed."""
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "client.mjs"):
        shutil.copy(NODE / name, folder)
    command = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--ignore-scripts",
        "--silent",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def told(packages: Path, server: Server) -> dict[str, Any]:
    """What the Node client printed."""
    request = {
        "spec": {
            "family": "families/faulty",
            "seed": str(SEED),
            "shape": {"width": WIDTH, "height": HEIGHT, "frame_count": FRAMES},
            "params": {"fields": {"block_frames": {"numberValue": 2}}},
        },
        "view": {"encoding": "ENCODING_RAW_RGB8"},
    }
    done = subprocess.run(
        ["node", "client.mjs", server.address, server.token, str(PROTOS), str(GOOGLEAPIS)],
        cwd=packages, input=json.dumps(request), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_plain_node_client(told: dict[str, Any]) -> None:
    """One test, since every process that runs tests would install the packages for itself."""
    check_families(told)
    check_frames(told)
    check_error(told)


def check_families(told: dict[str, Any]) -> None:
    assert {"families/faulty", "families/steady"} <= set(told["families"])


def check_frames(told: dict[str, Any]) -> None:
    assert (told["format"]["width"], told["format"]["height"]) == (WIDTH, HEIGHT)
    assert told["result"]["state"] == "STATE_SUCCEEDED" and told["result"]["frame_count"] == FRAMES
    assert [frame["index"] for frame in told["frames"]] == list(range(FRAMES))
    for frame in told["frames"]:
        assert frame["size"] == WIDTH * HEIGHT * 3
        assert frame["first"] == picture(SEED, frame["index"], WIDTH, HEIGHT).reshape(-1)[:6].tolist()


def check_error(told: dict[str, Any]) -> None:
    assert told["refused"]["code"] == 5  # NOT_FOUND
    details = told["refused"]["details"]
    assert details["google.rpc.ErrorInfo"]["reason"] == "FAMILY_UNKNOWN"
    assert details["google.rpc.ErrorInfo"]["domain"] == "wancore"
    assert details["google.rpc.ErrorInfo"]["metadata"] == {"name": "families/none"}
    assert details["google.rpc.ResourceInfo"]["resource_name"] == "families/none"
