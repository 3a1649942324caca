from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from wancore.cli import main
from wancore.testing import make_tiny


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny("t2v", tmp_path_factory.mktemp("t2v"))


def command(*arguments: object) -> list[str]:
    """The command line of the real command, in this environment's Python."""
    return [sys.executable, "-c", "from wancore.cli import main; main()", *map(str, arguments)]


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def wancore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs the command in this process (imports are slow) and in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["wancore", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        return Done(stopped.value.code or 0, *capsys.readouterr())

    return run
