"""Reading tensors out of open files: a loader touches hundreds of names, but each file is opened once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from wancore.checkpoints.container import TensorFile, container_of
from wancore.checkpoints.stored import Encoded, Piece, TensorInfo
from wancore.errors import CheckpointError

if TYPE_CHECKING:
    import torch

    from wancore.quant.weight import Weight


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

    def tensor(self, info: TensorInfo) -> torch.Tensor:
        """The tensor `info` tells of; a quantised one in float32. Raises `CheckpointError`."""
        if info.encoded:
            return self.weight(info.encoded, info.shape).dequantised().reshape(info.shape)
        return self.stacked(info.pieces).reshape(info.shape)

    def stacked(self, pieces: Sequence[Piece | Encoded]) -> torch.Tensor:
        """The pieces one below the other; a single plain piece is not copied. Raises `CheckpointError`."""
        import torch

        tensors = [self.piece(piece) for piece in pieces]
        return tensors[0] if len(tensors) == 1 else torch.cat(tensors)

    def piece(self, piece: Piece | Encoded) -> torch.Tensor:
        if isinstance(piece, Encoded):
            return self.weight(piece, piece.encoding.shape).dequantised()
        try:
            whole = self._file(piece.file).get_tensor(piece.name)
        except (OSError, ValueError) as error:
            raise CheckpointError(piece.file, f"cannot be read: {error}", piece.name) from error
        return whole if piece.rows is None else whole[slice(*piece.rows)]

    def weight(self, encoded: Encoded, shape: tuple[int, ...]) -> Weight:
        """A weight, still quantised; `shape` cuts off the file's padding.

        Raises `CheckpointError` where its format is not read, or its parts do not belong together.
        """
        encoding = encoded.encoding
        if encoding.make is None:
            problem = f"is stored as {encoding.format}: {encoding.problem}"
            raise CheckpointError(encoded.files[0], problem, encoding.stored_name)
        parts = {role: self.tensor(part) for role, part in encoding.parts.items()}
        try:
            weight = encoding.make(parts, shape if encoding.covers(shape) else encoding.shape)
            return weight if encoded.rows is None else weight.rows(*encoded.rows)
        except ValueError as error:
            problem = f"({encoding.format}) cannot be used: {error}"
            raise CheckpointError(encoded.files[0], problem, encoding.stored_name) from error

    def _file(self, path: Path) -> TensorFile:
        if path not in self._open:
            self._open[path] = self._stack.enter_context(container_of(path).open(path))
        return self._open[path]
