"""A virtual environment of its own, into which a third party's plugin is installed as a wheel.

It sees the packages of the environment that the tests run in. No index is asked for anything.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def build_wheel(project: Path, folder: Path) -> Path:
    """The wheel of `project`, built from a copy, since building leaves files behind."""
    source = shutil.copytree(project, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, "wheel", *options, str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def changed(wheel: Path, folder: Path, name: str, old: str, new: str) -> Path:
    """A copy of `wheel` in whose file `name` the text `old` reads `new`."""
    copy = folder / wheel.name
    folder.mkdir()
    with zipfile.ZipFile(wheel) as given, zipfile.ZipFile(copy, "w") as target:
        for item in given.infolist():
            content = given.read(item)
            if item.filename == name:
                assert old.encode() in content
                content = content.replace(old.encode(), new.encode())
            target.writestr(item, content)
    return copy


@dataclass(frozen=True)
class Venv:
    """A fresh virtual environment in `folder`."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Venv:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        own = sysconfig.get_path("purelib", vars={"base": str(folder)})
        line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (Path(own) / "packages-of-the-project.pth").write_text(line)
        return cls(folder)

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def install(self, *what: Path) -> None:
        """Wheels, or folders that they are built from."""
        options = ["--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall"]
        subprocess.run([*PIP, "--python", self.python, "install", *options, *map(str, what)], check=True)

    def uninstall(self, distribution: str) -> None:
        subprocess.run([*PIP, "--python", self.python, "uninstall", "--yes", distribution], check=True)

    def run_tests(self, folder: Path) -> subprocess.CompletedProcess[str]:
        """pytest over `folder`, outside of this repository's settings."""
        command = [self.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "."]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
