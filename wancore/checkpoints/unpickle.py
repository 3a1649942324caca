"""A PyTorch pickle file to safetensors, in a process of its own that can do little harm.

`torch.load(weights_only=True)` runs no code that the file brings, but it is no sandbox: memory, processor
time, file size and open files are limited, and the result is checked to be plain tensors.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wancore.errors import CheckpointError

if TYPE_CHECKING:
    import torch

MEMORY_HEADROOM = 1 << 30  # bytes, on top of twice the file
SECONDS, SECONDS_PER_GIGABYTE = 120, 60
OPEN_FILES = 64
USUAL_ADDRESS_SPACE = 8 << 30  # of a process with torch, where the system does not tell
#: What state dictionaries are wrapped in, from the outside in: trainers, averaged weights, GANs.
WRAPPERS = ("state_dict", "model", "module", "generator_ema", "generator", "params_ema")
REFUSED = 3


def convert_pickle(source: Path, target: Path) -> None:
    """Writes the tensors of `source` to `target` as safetensors, names and dtypes unchanged.

    Raises `CheckpointError` for anything but a dictionary of tensors, and where a limit is hit.
    """
    size = check_source(source)
    command = [
        sys.executable,
        "-I",
        "-m",
        "wancore.checkpoints.unpickle",
        str(source),
        str(target),
        str(size),
    ]
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR")}
    environment = kept | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    limit = SECONDS + SECONDS_PER_GIGABYTE * size // 10**9
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=5 * limit, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointError(source, f"took longer than {5 * limit} s to unpickle") from error
    finally:
        target.with_name(target.name + ".part").unlink(missing_ok=True)
    if done.returncode == REFUSED:
        raise CheckpointError(source, done.stdout.strip() or "cannot be unpickled")
    if done.returncode:
        raise CheckpointError(source, f"cannot be unpickled: {last_line(done.stderr, done.returncode)}")


def check_source(source: Path) -> int:
    if not source.is_file():
        raise CheckpointError(source, "no such file")
    with source.open("rb") as file:
        start = file.read(4)
    if start[:2] != b"PK" and start[:1] != b"\x80":
        raise CheckpointError(source, "is no PyTorch pickle file")
    return source.stat().st_size


def last_line(text: str, code: int) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else f"its process ended with {code}"


# What follows runs in the other process.


class NotTensors(ValueError):
    """A file that holds something else than tensors by name; the text says what."""


def limit_resources(size: int) -> None:
    """Limits this process to what a file of `size` bytes can need from here on."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    seconds = SECONDS + SECONDS_PER_GIGABYTE * size // 10**9
    limits = {
        resource.RLIMIT_AS: address_space() + 2 * size + MEMORY_HEADROOM,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: 2 * size + (64 << 20),
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        _, hard = resource.getrlimit(kind)
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (allowed, allowed))


def address_space() -> int:
    """Bytes of addresses in use, most of them by libraries that are mapped and not loaded."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return USUAL_ADDRESS_SPACE
    return int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def unwrapped(loaded: object) -> Mapping[str, Any]:
    """The state dictionary in what a file holds. Raises `NotTensors`."""
    for _ in range(len(WRAPPERS)):
        if not isinstance(loaded, Mapping):
            raise NotTensors(f"holds a {type(loaded).__name__}, not a dictionary of tensors")
        inner = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None and len(loaded) == 1:
            inner = next((value for value in loaded.values() if isinstance(value, Mapping)), None)
        if inner is None:
            return loaded
        loaded = inner
    raise NotTensors("holds dictionaries within dictionaries")


def tensors_in(source: Path) -> Mapping[str, torch.Tensor]:
    """The state dictionary in a file. Raises `NotTensors` and what torch raises for anything else."""
    import torch

    with source.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=is_zip)
    tensors = unwrapped(loaded)
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise NotTensors(f"holds {json.dumps(str(name))[:80]}: {type(tensor).__name__}, not a tensor")
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise NotTensors(f"holds {json.dumps(name)[:80]}, which is no ordinary tensor")
    return tensors


def main(source: Path, target: Path, size: int) -> None:
    from wancore.checkpoints.writer import Planned, in_file_order, writing

    limit_resources(size)
    tensors = tensors_in(source)
    planned = in_file_order({name: Planned(t.dtype, tuple(t.shape)) for name, t in tensors.items()})
    with writing(target, planned) as writer:
        for name in planned:
            writer.write(name, tensors[name])


def problem_of(error: Exception) -> str:
    """What was wrong with a file, on one line; objects that it asked for are named."""
    if isinstance(error, NotTensors):
        return str(error)
    text = " ".join(str(error).split())
    asked = re.search(r"GLOBAL (\S+)", text)
    if asked:
        return f"holds more than tensors ({asked[1][:80]}), which is not loaded"
    return f"cannot be unpickled: {text[:200]}"


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    except MemoryError:
        print("needs more memory than a file of its size may")
        sys.exit(REFUSED)
    except Exception as error:
        print(problem_of(error))
        sys.exit(REFUSED)
