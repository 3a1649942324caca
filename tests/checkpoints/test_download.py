"""`wancore download`, against a Hub on localhost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkpoints.hub import REPOSITORY, Hub, serving

FILES = {
    "config.json": b"{}",
    "transformer/model.safetensors": bytes(range(256)) * 160_000,  # more than two of the library's chunks
    "README.md": b"# about",
}


def wancore(hub: Hub, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = [sys.executable, "-c", "from wancore.cli import main; main()", "download", *arguments]
    return subprocess.run(
        command, env=kept | settings, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    broken = "transformer/model.safetensors"
    with serving(Hub(FILES, cut={broken})) as hub:
        done = wancore(hub, tmp_path / "home", REPOSITORY, "--exclude", "*.md")
        assert done.returncode == 0, done.stderr
        folder = Path(done.stdout.strip().splitlines()[-1])
        assert (folder / broken).read_bytes() == FILES[broken]
        assert (folder / "config.json").exists() and not (folder / "README.md").exists()
        first, second = [asked for name, asked in hub.asked if name == broken]
        assert first is None and second is not None and int(second[6:].split("-")[0]) > 0
        assert "%" in done.stderr  # a progress bar
        hub.asked.clear()
        again = wancore(hub, tmp_path / "home", REPOSITORY, "--exclude", "*.md")
        assert again.stdout == done.stdout and hub.asked == []


def test_some_files_into_a_plain_folder(tmp_path: Path) -> None:
    with serving(Hub(FILES)) as hub:
        target = tmp_path / "here"
        done = wancore(hub, tmp_path / "home", REPOSITORY, "--include", "*.json", "--to", str(target))
        assert done.returncode == 0 and Path(done.stdout.strip()) == target.resolve()
        assert [p.name for p in target.iterdir() if p.is_file()] == ["config.json"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("someone/other",), "repository: got 'someone/other'"),
        (("not a name",), "repository: got 'not a name'; accepted: OWNER/NAME"),
        ((REPOSITORY, "--include", "*.gguf"), "include: got ['*.gguf']"),
        ((REPOSITORY, "--revision", "gone"), "repository: got"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    with serving(Hub(FILES)) as hub:
        done = wancore(hub, tmp_path / "home", *arguments)
    assert done.returncode == 2 and problem in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_asked_of_the_hub_unless_told(tmp_path: Path) -> None:
    with serving(Hub(FILES)) as hub:
        command = "import wancore.checkpoints.download, wancore.cli.app; wancore.cli.app.build()"
        environment = os.environ | {"HF_ENDPOINT": hub.address}
        subprocess.run([sys.executable, "-c", command], env=environment, check=True, timeout=60)
        assert hub.asked == []
