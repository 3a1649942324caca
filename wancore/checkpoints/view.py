"""A checkpoint on disk, seen through its headers: one file, or the shards of one model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wancore.checkpoints.names import Names, name_set
from wancore.checkpoints.reader import Reader
from wancore.checkpoints.stored import Encoded, Piece, TensorInfo, with_rows
from wancore.errors import CheckpointError

if TYPE_CHECKING:
    import torch

    from wancore.quant.weight import Weight


@dataclass(frozen=True)
class FileView:
    """Names, shapes, dtypes, header metadata and file name of a checkpoint; data only on demand.

    `path` is the file or folder that was opened, `config` its config.json (None without one). Every
    method that renames, splits or joins returns another view of the same bytes.
    """

    path: Path
    entries: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    config: Mapping[str, Any] | None

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor. Raises `CheckpointError` if there is none of this name."""
        if name not in self.entries:
            raise CheckpointError(self.path, "is missing", name)
        return self.entries[name].shape

    @cached_property
    def names(self) -> Names:
        """All names, as the key of what follows from them alone."""
        return name_set(self.entries)

    def at(self, path: Path, metadata: Mapping[str, str]) -> FileView:
        """These tensors as another file of the same header has them, for recognition: data is this file's."""
        view = FileView(path, self.entries, metadata, self.config)
        known = {name: value for name, value in self.__dict__.items() if name in ("names", "files")}
        view.__dict__.update(known)
        return view

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the view's tensors."""
        found: dict[Path, None] = {}
        last: Path | None = None
        for info in self.entries.values():
            first = info.pieces[0]
            if type(first) is Piece and first.file is last and len(info.pieces) == 1:
                continue
            found |= dict.fromkeys(info.files)
            last = first.file if isinstance(first, Piece) else None
        return tuple(found)

    def holds(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether the tensor `name` has `shape`, or is a quantised one that was padded from it."""
        encoded = self.entries[name].encoded
        padded = encoded is not None and encoded.rows is None and encoded.encoding.covers(shape)
        return self.shape(name) == shape or padded

    def renamed(self, names: Mapping[str, str]) -> FileView:
        """The same data under new names: `names` maps old to new; entries not listed are left out.

        Raises `CheckpointError` where two tensors would get one name.
        """
        entries: dict[str, TensorInfo] = {}
        for old, new in names.items():
            if new in entries:
                raise CheckpointError(self.path, f"and another tensor would both be named {new!r}", old)
            entries[new] = self.entries[old]
        return replace(self, entries=entries)

    def under(self, prefix: str) -> FileView:
        """The tensors whose names begin with `prefix`, without it."""
        return self.renamed({n: n[len(prefix) :] for n in self.entries if n.startswith(prefix)})

    def split_rows(self, splits: Mapping[str, Sequence[str]]) -> FileView:
        """Each tensor named in `splits` becomes equal blocks of its rows, in order, under the new names.

        For layers that one layout stores fused and another apart, e.g. `to_qkv` [3D, D] as q, k, v.
        Raises `CheckpointError` where the rows do not divide evenly.
        """
        entries = dict(self.entries)
        for old, parts in splits.items():
            whole, count = entries.pop(old), len(parts)
            if not whole.shape or whole.shape[0] % count or len(whole.pieces) > 1:
                problem = f"{list(whole.shape)} does not split into {count} row blocks"
                raise CheckpointError(self.path, problem, old)
            height = whole.shape[0] // count
            piece: Piece | Encoded = whole.pieces[0]
            first = piece.rows[0] if piece.rows else 0
            for i, new in enumerate(parts):
                rows = (first + i * height, first + (i + 1) * height)
                shape, pieces = (height, *whole.shape[1:]), (with_rows(piece, rows),)
                entries[new] = TensorInfo(whole.dtype, shape, whole.nbytes // count, pieces)
        return replace(self, entries=entries)

    def joined_rows(self, joins: Mapping[str, Sequence[str]]) -> FileView:
        """The opposite of `split_rows`: the listed tensors, stacked along the first axis, under one name.

        Raises `CheckpointError` where they differ in dtype or in any other axis.
        """
        entries = dict(self.entries)
        for new, parts in joins.items():
            infos = [entries.pop(name) for name in parts]
            if len({(info.dtype, info.shape[1:], len(info.shape) > 0) for info in infos}) != 1 or (
                not infos[0].shape
            ):
                shapes = ", ".join(f"{info.dtype}{list(info.shape)}" for info in infos)
                raise CheckpointError(self.path, f"cannot be joined from {shapes}", new)
            entries[new] = TensorInfo(
                dtype=infos[0].dtype,
                shape=(sum(info.shape[0] for info in infos), *infos[0].shape[1:]),
                nbytes=sum(info.nbytes for info in infos),
                pieces=tuple(piece for info in infos for piece in info.pieces),
            )
        return replace(self, entries=entries)

    def reshaped(self, shapes: Mapping[str, Sequence[int]]) -> FileView:
        """The same data with the given tensors seen in another shape, e.g. `[1, 1, D]` as `[D]`.

        Raises `CheckpointError` where the number of elements differs.
        """
        entries = dict(self.entries)
        for name, shape in shapes.items():
            if math.prod(shape) != math.prod(entries[name].shape):
                problem = f"{list(entries[name].shape)} cannot be seen as {list(shape)}"
                raise CheckpointError(self.path, problem, name)
            entries[name] = entries[name]._replace(shape=tuple(shape))
        return replace(self, entries=entries)

    def cropped(self, shapes: Mapping[str, tuple[int, ...]]) -> FileView:
        """The same with the padding of quantised tensors cut off, where `shapes` says what is theirs.

        Raises `CheckpointError` where a tensor has another shape, padding aside.
        """
        entries = dict(self.entries)
        for name, shape in shapes.items():
            if not self.holds(name, shape):
                problem = f"has shape {list(self.shape(name))}, not {list(shape)}"
                raise CheckpointError(self.path, problem, name)
            entries[name] = entries[name]._replace(shape=shape)
        return replace(self, entries=entries)

    @contextmanager
    def reader(self) -> Iterator[ViewReader]:
        """For reading many tensors: each file is opened once."""
        with Reader() as reader:
            yield ViewReader(self, reader)

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, memory-mapped where the platform allows it; for many, use `reader`.

        Raises `CheckpointError` naming the file and the key.
        """
        with self.reader() as reader:
            return reader.tensor(name)


@dataclass(frozen=True)
class ViewReader:
    """Reads tensors of `view` by the names they have there."""

    view: FileView
    files: Reader

    def tensor(self, name: str) -> torch.Tensor:
        """As `FileView.tensor`."""
        self.view.shape(name)
        return self.files.tensor(self.view.entries[name])

    def weight(self, name: str, shape: tuple[int, ...]) -> Weight | None:
        """A quantised tensor as it is stored, without padding to `shape`; None for any other.

        Raises `CheckpointError`.
        """
        encoded = self.view.entries[name].encoded
        if encoded is None:
            return None
        weight = self.files.weight(encoded, shape)
        return weight if weight.shape == shape else None
