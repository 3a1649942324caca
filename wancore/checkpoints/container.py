"""The kinds of file that weights come in, told apart by their first bytes.

A kind that can be read is a `Container`; adding one to `CONTAINERS` is all a new format needs here.
The others are known by name, so that a user learns what the file is and what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wancore.checkpoints.gguf_header import MAGIC, GgufError, read_gguf_header
from wancore.checkpoints.header import Entry, HeaderError, read_header
from wancore.errors import CheckpointError

if TYPE_CHECKING:
    import torch

START_BYTES = 16  # enough for every magic number below


class TensorFile(Protocol):
    """An open file of tensors."""

    def get_tensor(self, name: str) -> torch.Tensor: ...


class Container(Protocol):
    """One kind of file: what it holds, from its header alone, and how its tensors are read."""

    @property
    def name(self) -> str: ...

    def recognises(self, path: Path, start: bytes) -> bool:
        """Whether `path`, beginning with `start`, is a file of this kind."""

    def header(self, path: Path) -> tuple[Mapping[str, Entry], Mapping[str, str]]:
        """(tensors, metadata). Raises `CheckpointError` on a malformed file; reads no data."""

    def open(self, path: Path) -> AbstractContextManager[TensorFile]:
        """For reading tensors, memory-mapped where the platform allows it."""


class Safetensors:
    """Names, shapes and byte ranges in a JSON header, then the data: https://huggingface.co/docs/safetensors/index#format"""

    name = "safetensors"

    def recognises(self, path: Path, start: bytes) -> bool:
        # An 8-byte length below 4 GB, then JSON: no pickle and no GGUF file begins like this.
        return start[4:9] == b"\0\0\0\0{"

    def header(self, path: Path) -> tuple[Mapping[str, Entry], Mapping[str, str]]:
        try:
            header = read_header(path)
        except HeaderError as error:
            raise CheckpointError(path, str(error)) from error
        return header.tensors, header.metadata

    def open(self, path: Path) -> AbstractContextManager[TensorFile]:
        from wancore.checkpoints.mapped import MappedSafetensors

        return nullcontext(MappedSafetensors(path))


class Gguf:
    """llama.cpp's container, which city96, QuantStack and others publish quantised models in."""

    name = "GGUF"

    def recognises(self, path: Path, start: bytes) -> bool:
        return start[:4] == MAGIC

    def header(self, path: Path) -> tuple[Mapping[str, Entry], Mapping[str, str]]:
        try:
            header = read_gguf_header(path)
        except GgufError as error:
            raise CheckpointError(path, str(error)) from error
        return header.tensors, header.metadata

    def open(self, path: Path) -> AbstractContextManager[TensorFile]:
        from wancore.checkpoints.mapped import MappedGguf

        return nullcontext(MappedGguf(path))


@dataclass(frozen=True)
class Foreign:
    """A kind of file that is known and not read: `advice` says what its owner can do."""

    name: str
    recognises: Callable[[Path, bytes], bool]
    advice: str


PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".pkl")
PICKLE_ADVICE = "pickle files can run code and are not read; convert it with `wancore convert`"

CONTAINERS: tuple[Container, ...] = (Safetensors(), Gguf())
FOREIGN = (
    Foreign("PyTorch pickle (zip)", lambda _, start: start[:4] == b"PK\x03\x04", PICKLE_ADVICE),
    Foreign("PyTorch pickle", lambda path, start: start[:1] == b"\x80" or path.suffix in PICKLE_SUFFIXES,
            PICKLE_ADVICE),
)  # fmt: skip


def kind_of(path: Path) -> Container | Foreign:
    """What kind of file `path` is. Raises `CheckpointError` if it is missing or of no known kind."""
    start = first_bytes(path)
    kinds: tuple[Container | Foreign, ...] = (*CONTAINERS, *FOREIGN)
    for kind in kinds:
        if kind.recognises(path, start):
            return kind
    accepted = ", ".join(container.name for container in CONTAINERS)
    raise CheckpointError(path, f"is no kind of checkpoint file that is known; accepted: {accepted}")


def container_of(path: Path) -> Container:
    """The container that reads `path`. Raises `CheckpointError` where none does."""
    kind = kind_of(path)
    if isinstance(kind, Foreign):
        raise CheckpointError(path, f"is a {kind.name} file; {kind.advice}")
    return kind


def first_bytes(path: Path) -> bytes:
    if not path.exists():
        raise CheckpointError(path, "no such file or folder")
    if not path.is_file():
        raise CheckpointError(path, "is not a file")
    try:
        with path.open("rb") as file:
            return file.read(START_BYTES)
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror}") from error
