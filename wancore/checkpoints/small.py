"""The bytes of small tensors, for what a header alone does not tell. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wancore.checkpoints.header import HeaderError, read_header
from wancore.checkpoints.stored import Piece
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError


def small_tensors(view: FileView, names: Iterable[str]) -> dict[str, bytes]:
    """The data of plain tensors of safetensors files. Raises `CheckpointError`."""
    found: dict[str, bytes] = {}
    for file, pieces in by_file(view, names).items():
        try:
            header = read_header(file)
            with file.open("rb") as opened:
                for name, piece in pieces.items():
                    entry = header.tensors[piece.name]
                    opened.seek(header.data_offset + entry.start)
                    found[name] = opened.read(entry.end - entry.start)
        except (OSError, HeaderError) as error:
            raise CheckpointError(file, f"cannot be read: {error}") from error
    return found


def by_file(view: FileView, names: Iterable[str]) -> dict[Path, dict[str, Piece]]:
    pieces: dict[Path, dict[str, Piece]] = {}
    for name in names:
        (piece,) = view.entries[name].pieces
        if isinstance(piece, Piece):
            pieces.setdefault(piece.file, {})[name] = piece
    return pieces
