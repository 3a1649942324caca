"""Writing a safetensors file one tensor at a time, so that no model has to fit into memory."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from wancore.checkpoints.header import BITS
from wancore.checkpoints.mapped import DTYPES
from wancore.errors import CheckpointError

DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
CHUNK_BYTES = 1 << 26


@dataclass(frozen=True)
class Planned:
    """A tensor that is going to be written."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * BITS[DTYPE_NAMES[self.dtype]] // 8


class Writer:
    """Takes tensors in the order in which they were planned."""

    def __init__(self, file: BinaryIO, planned: Mapping[str, Planned]) -> None:
        self._file, self._waiting = file, dict(planned)

    def write(self, name: str, tensor: torch.Tensor) -> None:
        """The next tensor. Raises `ValueError` if it is not the one that was planned."""
        wanted, plan = next(iter(self._waiting.items()))
        if (name, tuple(tensor.shape), tensor.dtype) != (wanted, plan.shape, plan.dtype):
            got = f"{name} {tensor.dtype}{list(tensor.shape)}"
            raise ValueError(f"{wanted} {plan.dtype}{list(plan.shape)} was planned, not {got}")
        del self._waiting[name]
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        for first in range(0, len(raw), CHUNK_BYTES):
            self._file.write(raw[first : first + CHUNK_BYTES].numpy().data)

    def finish(self) -> None:
        if self._waiting:
            raise ValueError(f"{len(self._waiting)} tensors were planned and not written")


@contextmanager
def writing(
    path: Path, planned: Mapping[str, Planned], metadata: Mapping[str, str] | None = None
) -> Iterator[Writer]:
    """A new file at `path`, which appears there once it is complete; nothing is left of a failed one.

    Raises `CheckpointError` if there is a file already, or it cannot be written.
    """
    if path.exists():
        raise CheckpointError(path, "is there already, and is not overwritten")
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            write_header(file, planned, metadata or {})
            writer = Writer(file, planned)
            yield writer
            writer.finish()
        part.replace(path)
    except OSError as error:
        raise CheckpointError(path, f"cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def write_header(file: BinaryIO, planned: Mapping[str, Planned], metadata: Mapping[str, str]) -> None:
    document: dict[str, object] = {"__metadata__": {"format": "pt", **metadata}}
    end = 0
    for name, plan in planned.items():
        start, end = end, end + plan.nbytes
        dtype = DTYPE_NAMES[plan.dtype]
        document[name] = {"dtype": dtype, "shape": list(plan.shape), "data_offsets": [start, end]}
    header = json.dumps(document, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    file.write(struct.pack("<Q", len(header)) + header)


def in_file_order(planned: Mapping[str, Planned]) -> dict[str, Planned]:
    """Wider elements first, so that every tensor is aligned to its elements; else by name."""
    widest_first = sorted(planned.items(), key=lambda pair: (-pair[1].dtype.itemsize, pair[0]))
    return dict(widest_first)
