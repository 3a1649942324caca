"""LoRA files read into memory ahead of their use, so that a request need not wait for the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from wancore.checkpoints.open import open_view
from wancore.checkpoints.view import FileView
from wancore.lora.foreign import refuse_foreign


@dataclass(frozen=True)
class HeldFile:
    """A file's tensors in memory; `state` differs where the file was written anew. `finite`: those that are
    known to hold neither infinite values nor NaN, which takes a look at each value only once."""

    view: FileView
    tensors: dict[str, Tensor]
    state: tuple[int, int]
    finite: set[str] = field(default_factory=set, compare=False, repr=False)

    def tensor(self, name: str) -> Tensor:
        return self.tensors[name]

    @contextmanager
    def reader(self) -> Iterator[HeldFile]:
        """As a `FileView` has one."""
        yield self


class Shelf:
    """Files that are held, by path. `pinned`: in memory that a GPU copies from at full speed."""

    def __init__(self, pinned: bool) -> None:
        self.pinned = pinned
        self._held: dict[Path, HeldFile] = {}

    def hold(self, path: Path) -> None:
        """Reads the file, unless it is held as it is now. Raises `CheckpointError`, `OSError`."""
        if self.get(path) is not None:
            return
        state, view = state_of(path), open_view(path)
        refuse_foreign(view)
        with view.reader() as reader:
            tensors = {name: self.copied(reader.tensor(name)) for name in view.entries}
        self._held[path] = HeldFile(view, tensors, state)

    def copied(self, tensor: Tensor) -> Tensor:
        """In memory of its own, no view of the file."""
        copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=self.pinned)
        return copy.copy_(tensor)

    def get(self, path: Path) -> HeldFile | None:
        """None where it is not held, or has been written anew since (it is then dropped)."""
        held = self._held.get(path)
        if held is not None and held.state != state_of(path):
            self.drop(path)
            return None
        return held

    def drop(self, path: Path) -> None:
        self._held.pop(path, None)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self._held)


def state_of(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
