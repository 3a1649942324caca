"""The commands that look and list."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.cli.conftest import command


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        command(*arguments), env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )


GROUPS = ("families", "plugins", "solvers", "methods")


def test_help_is_quick_and_imports_no_torch():
    """Half a second is promised; asserted at three times that, in processor time."""
    before = os.times()
    done = process("--help", PYTHONPROFILEIMPORTTIME="1")
    spent = os.times().children_user - before.children_user
    assert done.returncode == 0 and "generate" in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported and "torch" not in imported
    assert spent < 1.5


@pytest.mark.parametrize("group", GROUPS)
def test_lists(group, wancore):
    plain, structured = wancore(group), wancore(group, "--json")
    assert plain.returncode == 0 and plain.stdout.strip(), plain.stderr
    assert json.loads(structured.stdout)


def test_families_show_inputs_and_parameters(wancore):
    shown = wancore("families", "wan").stdout
    assert "--input image=FILE" in shown and "--param max_area=" in shown
    assert wancore("families", "nobody").returncode == 2


def test_inspect(wancore, model):
    done = wancore("inspect", model)
    assert done.returncode == 0, done.stderr
    assert "wan t2v" in done.stdout and "num_layers" in done.stdout
    report = json.loads(wancore("inspect", model, "--json").stdout)
    assert report["container"]
    assert wancore("inspect", model / "nothing").returncode == 2


def test_version(wancore):
    assert wancore("--version").stdout.startswith("wancore ")


def test_disabled_plugin():
    assert "wan  disabled" in process("plugins", WANCORE_DISABLED_PLUGINS="wan").stdout


def test_settings_come_from_a_file(wancore, model, tmp_path):
    (tmp_path / "wancore.toml").write_text(f'model = "{model}"\nwidth = 48\nheight = 32\nframes = 5\n')
    done = wancore("generate", "--prompt", "x", "--steps", "1", "--out", "o.mp4")
    assert done.returncode == 0, done.stderr
    assert "48x32, 5 frames" in done.stderr
    (tmp_path / "wancore.toml").write_text("modle = 3\n")
    refused = wancore("generate", "--prompt", "x")
    assert refused.returncode == 2 and "modle" in refused.stderr
