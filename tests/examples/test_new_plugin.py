"""`wancore new-plugin`: what it writes can be installed, and passes its own tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.examples.installing import Venv
from wancore.cli.app import build
from wancore.errors import InvalidInput
from wancore.scaffold import write_skeleton

ROOT = Path(__file__).parents[2]


def test_both_skeletons_pass_their_own_tests(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    for options in (["soft-focus", "--attachment"], ["night", "--lead"]):
        done = CliRunner().invoke(
            build(), ["new-plugin", *options, "--into", str(folder)], catch_exceptions=False
        )
        assert done.exit_code == 0 and str(folder / options[0]) in done.output
    check_style(folder)
    venv = Venv.made(tmp_path / "venv")
    venv.install(folder / "soft-focus", folder / "night")
    for name in ("soft-focus", "night"):
        tests = venv.run_tests(folder / name)
        assert tests.returncode == 0 and "3 passed" in tests.stdout, tests.stdout[-4000:]
    listing = "from wancore.cli import main; main()"
    listed = subprocess.run(
        [venv.python, "-c", listing, "families"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "soft-focus: Soft focus" in listed.stdout and "(attachment)" in listed.stdout
    assert "night: Night" in listed.stdout and "picture=FILE  image, required" in listed.stdout


def check_style(folder: Path) -> None:
    for command in (["check"], ["format", "--check"]):
        options = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), str(folder)]
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *options], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Soft", "lower-case letters"),
        ("soft_focus", "joined by '-'"),
        ("soft--focus", "joined by '-'"),
        ("2d", "lower-case letters"),
        ("", "lower-case letters"),
        ("../up", "lower-case letters"),
        ("a" * 41, "at most 40"),
        ("class", "Python's own"),
        ("wan", "no installed plugin"),
        ("torch", "can be imported"),
        ("json", "can be imported"),
    ],
)
def test_names_that_are_not_taken(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name: got") as caught:
        write_skeleton(name, "lead", tmp_path)
    assert said in str(caught.value) and not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "soft-focus" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("work")
    with pytest.raises(InvalidInput, match="free"):
        write_skeleton("soft-focus", "attachment", tmp_path)
    assert mine.read_text() == "work" and list(mine.parent.iterdir()) == [mine]
    with pytest.raises(InvalidInput, match="exists"):
        write_skeleton("soft-focus", "attachment", tmp_path / "nowhere")
