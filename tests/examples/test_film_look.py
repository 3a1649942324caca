"""A third party's plugin: a wheel, installed, listed, served; broken, incompatible, removed, back again.

One environment and one server, which runs on while the plugin changes under it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from wancore_client import Client, WancoreClientError
from wancore_proto.v1 import catalog_service_pb2, job_pb2

from tests.examples.installing import Venv, build_wheel, changed
from tests.server.harness import Server, eventually
from wancore.testing import make_tiny, sizes

PROJECT = Path(__file__).parents[2] / "examples" / "film-look"
STATES = catalog_service_pb2.Plugin
QUICK = {"size": (64, 48), "frames": 5, "steps": 2, "seed": 7, "guidance": 1.0}
INVERTED = "LUT_3D_SIZE 2\n" + "\n".join(
    f"{1 - red} {1 - green} {1 - blue}" for blue in (0, 1) for green in (0, 1) for red in (0, 1)
)


@dataclass(frozen=True)
class Town:
    """A server in an environment with the plugin, and what is needed to use both."""

    venv: Venv
    wheel: Path
    client: Client
    table: Path

    def plugin(self) -> catalog_service_pb2.Plugin | None:
        return next((p for p in self.client.plugins() if p.name == "plugins/film-look"), None)

    def state(self) -> int:
        plugin = self.plugin()
        return plugin.state if plugin is not None else STATES.STATE_UNSPECIFIED

    def create(self, validate_only: bool = False, **params: Any) -> job_pb2.Job:
        """A job with the look attached."""
        use = {"family": "film-look", "modules": ["look"], "inputs": {"table": self.table}, "params": params}
        return self.client.create(
            "a red ball", model="t2v", attachments=[use], validate_only=validate_only, **QUICK
        )

    def with_the_look(self, **params: Any) -> np.ndarray:
        return pixels(self.client.watch(self.create(**params).name))

    def without(self) -> np.ndarray:
        return pixels(self.client.generate("a red ball", model="t2v", **QUICK))


def pixels(generation: Any) -> np.ndarray:
    return np.stack([frame.pixels for frame in generation.frames()])


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    root = tmp_path_factory.mktemp("third-party")
    wheel = build_wheel(PROJECT, root / "wheel")
    venv = Venv.made(root / "venv")
    venv.install(wheel)
    models = root / "models"
    make_tiny("t2v", models / "t2v")
    (models / "diffusion_models").mkdir()
    directions = np.random.default_rng(1).standard_normal((sizes.LAYERS, sizes.DIM), np.float32)
    save_file({"film_look.directions": directions}, models / "diffusion_models" / "look.safetensors")
    table = root / "inverted.cube"
    table.write_text(INVERTED)
    server = Server(root / "server", plugins=("wan", "film-look"), plugins_s=0.2, probe_s=60,
                    worker_silence_s=10, worker_patience_s=60, watchdog_min_s=60)  # fmt: skip
    server.python = venv.python
    server.extra_environment = {"WANCORE_MODELS": str(models)}
    try:
        with server.start().client() as client:
            server.ready(client, 60)
            yield Town(venv, wheel, client, table)
    except BaseException:
        print(server.log.read_text()[-6000:])
        raise
    finally:
        server.end()


def test_its_own_tests_pass(town: Town, tmp_path: Path) -> None:
    done = town.venv.run_tests(shutil.copytree(PROJECT / "tests", tmp_path / "tests"))
    assert done.returncode == 0, done.stdout[-4000:]


def test_listed(town: Town) -> None:
    plugin = town.plugin()
    assert plugin is not None and plugin.state == STATES.STATE_LOADED
    assert (plugin.entry_point, plugin.version) == ("film-look", "1.0.0") and plugin.record_hash
    family = town.client.family("film-look")
    (table,) = family.inputs
    assert (table.role, table.type_name) == ("table", "colour table")
    assert table.type == catalog_service_pb2.InputDeclaration.TYPE_OTHER
    assert family.roles == [catalog_service_pb2.Family.ROLE_ATTACHMENT]
    assert "ab2" in town.client.server_info().solvers


def test_served(town: Town) -> None:
    """Its table changes what is sent, its adapter what is made."""
    plain = town.without()
    assert np.abs(town.with_the_look(strength=0).astype(int) - (255 - plain.astype(int))).max() <= 1
    assert not np.array_equal(town.with_the_look(strength=4, amount=0), plain)


def test_removed_and_back_under_a_running_server(town: Town) -> None:
    """What it does to itself harms nobody else, and what is repaired is there again."""
    plain = town.without()
    town.venv.uninstall("film-look")
    eventually(lambda: town.plugin() is None, 60)
    with pytest.raises(WancoreClientError, match="film-look"):
        town.create(validate_only=True)

    folder, file = town.wheel.parent, "film_look/__init__.py"
    town.venv.install(changed(town.wheel, folder / "newer", file, "= (1, 1)", "= (98, 99)"))
    eventually(lambda: town.state() == STATES.STATE_INCOMPATIBLE, 60)
    assert "98 to 99" in town.plugin().problem

    town.venv.install(changed(town.wheel, folder / "broken", file, "WANCORE_API", "1 / 0\nWANCORE_API"))
    eventually(lambda: town.state() == STATES.STATE_BROKEN, 60)
    assert "ZeroDivisionError" in town.plugin().problem and str(town.venv.folder) not in town.plugin().problem
    assert np.array_equal(town.without(), plain)

    town.venv.install(town.wheel)
    eventually(lambda: town.state() == STATES.STATE_LOADED, 60)
    town.create(validate_only=True)
