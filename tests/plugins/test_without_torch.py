"""What lists plugins, their families and the files that are theirs must not wait for torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wancore.plugins.manager import entry_points
from wancore.scaffold import write_skeleton
from wancore.testing import make_tiny

EXAMPLE = Path(__file__).parents[2] / "examples" / "film-look"

#: Imports each module, and asks its families for all that is asked of them before a request.
LISTING = """
import sys
from importlib import import_module
from pathlib import Path
from wancore.checkpoints.open import open_view
from wancore.plugins import PluginManager

sys.modules["torch"] = None  # importing it is an error
file, *names = sys.argv[1:]
manager = PluginManager(enabled=())
for name in names:
    manager.register(import_module(name), name)
for hook in "solvers", "methods", "models", "attention", "parity":
    assert getattr(manager.pluggy.hook, f"wancore_{hook}")() is not None
view = open_view(Path(file))
for families in manager.pluggy.hook.wancore_families():
    for family in families:
        family.recognise(view)
        print(family.id, family.roles, family.inputs, family.parameters.model_fields)
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path | None]:
    """The entry module of every plugin, and the folder it is in where it is not installed."""
    folder = tmp_path_factory.mktemp("skeletons")
    found: dict[str, Path | None] = {point.module: None for point in entry_points()}
    found["film_look"] = EXAMPLE
    for role in ("lead", "attachment"):
        found[f"new_{role}"] = write_skeleton(f"new-{role}", role, folder)
    return found


def test_listing_needs_no_torch(modules: dict[str, Path | None], tmp_path: Path) -> None:
    """Of a file that families look at more closely: a whole transformer."""
    file = make_tiny("t2v", tmp_path) / "diffusion_pytorch_model.safetensors"
    environment = {"PYTHONPATH": ":".join(str(folder) for folder in modules.values() if folder)}
    done = subprocess.run(
        [sys.executable, "-c", LISTING, str(file), *modules],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"film-look", "new-lead", "new-attachment", "wan"} <= listed
