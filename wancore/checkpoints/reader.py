"""Reading tensors out of open files: a loader touches hundreds of names, but each file is opened once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from wancore.checkpoints.container import TensorFile, container_of
from wancore.errors import CheckpointError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Piece:
    """A tensor stored as `name` in `file`, or its rows [first, end) if `rows` is given."""

    file: Path
    name: str
    rows: tuple[int, int] | None = None


class Reader:
    """Keeps every file it has read from open, until it is left."""

    def __init__(self) -> None:
        self._open: dict[Path, TensorFile] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.clear()
        self._stack.close()

    def stacked(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """The pieces one below the other; a single piece is not copied. Raises `CheckpointError`."""
        import torch

        tensors = [self.piece(piece) for piece in pieces]
        return tensors[0] if len(tensors) == 1 else torch.cat(tensors)

    def piece(self, piece: Piece) -> torch.Tensor:
        try:
            whole = self._file(piece.file).get_tensor(piece.name)
        except (OSError, ValueError) as error:
            raise CheckpointError(piece.file, f"cannot be read: {error}", piece.name) from error
        return whole if piece.rows is None else whole[slice(*piece.rows)]

    def _file(self, path: Path) -> TensorFile:
        if path not in self._open:
            self._open[path] = self._stack.enter_context(container_of(path).open(path))
        return self._open[path]
