"""Compiling CUDA sources of `wancore/csrc` into shared libraries, once per machine.

A library lies in `$XDG_CACHE_HOME/wancore/kernels`, in a folder named after everything that it depends on:
the sources, the compiler's version, the flags and the architecture. Processes that need it at the same
time build it once; a build that was broken off leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "csrc"
FLAGS = ("-O3", "-std=c++17", "-Xcompiler=-fPIC", "-lineinfo")
ARCHITECTURE_SPECIFIC = (90,)  # those whose own instructions need the suffix `a`
RULES = """\
ninja_required_version = 1.3
rule compile
  command = {nvcc} {flags} -MD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
rule link
  command = {nvcc} {flags} -shared $in -o $out
"""


class BuildError(Exception):
    """Why there is no library; the last line says it shortest."""


def library(name: str, sources: Sequence[str], capability: tuple[int, int]) -> Path:
    """The compiled library of `sources` (file names in `csrc`) for GPUs of `capability`, e.g. (9, 0).

    Raises `BuildError` without a compiler or when it fails.
    """
    nvcc = compiler()
    flags = (*FLAGS, *target(nvcc, capability))
    folder = cache_folder() / f"{name}-{key(nvcc, sources, flags)}"
    built = folder / f"{name}.so"
    if not built.exists():
        with locked(folder.with_suffix(".lock")):
            if not built.exists():
                build(name, sources, nvcc, flags, folder)
    return built


def build(name: str, sources: Sequence[str], nvcc: Path, flags: Sequence[str], folder: Path) -> None:
    """Compiles beside `folder` and moves the result there in one step."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=folder.parent) as work:
        result = Path(work) / "result"
        result.mkdir()
        write_rules(Path(work) / "build.ninja", name, sources, nvcc, flags)
        run([str(ninja()), "-C", work, f"result/{name}.so"])
        if folder.exists():  # without its library: an earlier one that someone cleaned halfway
            shutil.rmtree(folder)
        result.rename(folder)


def write_rules(path: Path, name: str, sources: Sequence[str], nvcc: Path, flags: Sequence[str]) -> None:
    lines = [RULES.format(nvcc=escaped(nvcc), flags=" ".join(flags))]
    objects = [f"{Path(source).stem}.o" for source in sources]
    lines += [
        f"build {out}: compile {escaped(SOURCES / source)}"
        for out, source in zip(objects, sources, strict=True)
    ]
    lines.append(f"build result/{name}.so: link {' '.join(objects)}\n")
    path.write_text("\n".join(lines))


def escaped(path: Path) -> str:
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


def run(command: Sequence[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}\n{done.stdout.strip()}")
    return done.stdout


@cache
def compiler() -> Path:
    """nvcc of `CUDA_HOME`, of the search path, or where CUDA is usually installed."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH")]
    candidates = [Path(home) / "bin" / "nvcc" for home in homes if home]
    if found := shutil.which("nvcc"):
        candidates.append(Path(found))
    candidates.append(Path("/usr/local/cuda/bin/nvcc"))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    raise BuildError("no CUDA compiler (nvcc)")


@cache
def ninja() -> Path:
    """ninja of the Python package, or of the search path."""
    try:
        from ninja import BIN_DIR

        packaged = shutil.which("ninja", path=BIN_DIR)
    except ImportError:
        packaged = None
    found = packaged or shutil.which("ninja")
    if found is None:
        raise BuildError("no ninja")
    return Path(found)


@cache
def version(nvcc: Path) -> str:
    return run([str(nvcc), "--version"])


@cache
def architectures(nvcc: Path) -> tuple[int, ...]:
    """Those that the compiler has machine code for, e.g. 90, in ascending order."""
    names = run([str(nvcc), "--list-gpu-code"]).split()
    return tuple(sorted(int(name.removeprefix("sm_")) for name in names if name[3:].isdigit()))


def target(nvcc: Path, capability: tuple[int, int]) -> list[str]:
    """The compiler's flag: machine code where it knows the GPU, else PTX of the newest one before it.

    Raises `BuildError` for a GPU older than all that the compiler knows, or than Ampere.
    """
    wanted = capability[0] * 10 + capability[1]
    known = [a for a in architectures(nvcc) if a <= wanted]
    if wanted < 80 or not known:
        raise BuildError(f"compute capability {capability[0]}.{capability[1]} is too old: 8.0 or later")
    if wanted in known:
        own = f"{wanted}a" if wanted in ARCHITECTURE_SPECIFIC else str(wanted)
        return [f"-gencode=arch=compute_{own},code=sm_{own}"]
    return [f"-gencode=arch=compute_{known[-1]},code=compute_{known[-1]}"]


def key(nvcc: Path, sources: Sequence[str], flags: Sequence[str]) -> str:
    """Names a build; headers of the folder count as parts of every source."""
    digest = hashlib.sha256()
    for path in [*(SOURCES / source for source in sources), *sorted(SOURCES.glob("*.cuh"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update("\0".join([version(nvcc), *flags]).encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "wancore" / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(f"no place for compiled kernels: {error}") from error
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; freed when the process ends, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
