"""What must cost nothing to import: plugins' declarations, the command line, the packages' front doors."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GROUP = "wancore.plugins"

BLOCK = """
import json, sys
HEAVY = {"torch", "torchvision", "torchaudio", "transformers", "diffusers", "tokenizers", "sentencepiece",
         "cv2", "av", "PIL", "scipy", "librosa", "soundfile", "pyloudnorm"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ImportError(f"{name} is imported, which is too heavy here")
sys.meta_path.insert(0, Blocker())
"""


def run(script: str, *arguments: str) -> str:
    """Standard output of `script` in a process in which the heavy libraries cannot be imported."""
    command = [sys.executable, "-c", BLOCK + script, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_blocker_blocks() -> None:
    with pytest.raises(AssertionError, match="torch is imported, which is too heavy"):
        run("import torch")


def plugins_in_the_tree() -> dict[str, str]:
    """Entry point -> module of every distribution of this repository."""
    files = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]
    files = [file for file in files if not file.is_relative_to(ROOT / "examples")]  # third parties'
    found: dict[str, str] = {}
    for file in files:
        project = tomllib.loads(file.read_text())["project"]
        found |= project.get("entry-points", {}).get(GROUP, {})
    return found


def test_every_plugin_of_the_tree_is_installed() -> None:
    installed = {entry.name: entry.value for entry in importlib.metadata.entry_points(group=GROUP)}
    assert plugins_in_the_tree()
    assert plugins_in_the_tree().items() <= installed.items()


@cache
def statuses() -> dict[str, tuple[str, str]]:
    """Plugin -> (state, detail), after everything it declares has been asked for."""
    script = """
from wancore.plugins import PluginManager
manager = PluginManager()
for hook in ("wancore_families", "wancore_solvers", "wancore_methods", "wancore_parity"):
    list(manager.collect(hook))
print(json.dumps({status.name: (status.state, status.detail) for status in manager.status}))
"""
    return json.loads(run(script).splitlines()[-1])


@pytest.mark.parametrize("name", sorted(entry.name for entry in importlib.metadata.entry_points(group=GROUP)))
def test_plugins_declare_without_heavy_imports(name: str) -> None:
    state, detail = statuses()[name]
    assert state == "loaded", detail


@pytest.mark.parametrize("arguments", [["--help"], ["generate", "--help"]])
def test_the_command_line_explains_itself_without_heavy_imports(arguments: list[str]) -> None:
    shown = run("from wancore.cli import main\nsys.argv[0] = 'wancore'\nmain()", *arguments)
    assert "wancore" in shown or "--prompt" in shown


@pytest.mark.parametrize(
    "package",
    [
        "wancore",
        "wancore.checkpoints",
        "wancore.encoders",
        "wancore.engine",
        "wancore.engine.files",
        "wancore.engine.lead",
        "wancore.media",
        "wancore.plugins",
        "wancore.parity",
    ],
)
def test_packages_open_without_heavy_imports(package: str) -> None:
    run(f"import {package}")


def test_the_engine_does_without_the_compiler_until_it_compiles() -> None:
    """It takes as long to import as the rest of torch."""
    script = "import sys, wancore.engine.engine as e\nprint(e.torch.__name__, 'torch._dynamo' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == "torch False\n"
