"""Several files, or several views, as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from wancore.checkpoints.container import container_of
from wancore.checkpoints.layer_formats import resolved
from wancore.checkpoints.listing import counted
from wancore.checkpoints.stamp import Stamp, settled_stamp
from wancore.checkpoints.stored import Piece, TensorInfo
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError

KEPT = 32  # views: a model with its encoders and some LoRAs, opened many times for every request


def view_of(path: Path, files: Sequence[Path], config: Mapping[str, Any] | None) -> FileView:
    """One view of all tensors in `files`, the parts of one model; quantised weights are single tensors of it.

    Files that have not changed are not read again. Raises `CheckpointError` where a name occurs twice, or
    the files contradict themselves.
    """
    stamps = tuple(settled_stamp(file) for file in files)
    look = look_at.__wrapped__ if None in stamps else look_at
    return replace(look(path, tuple(files), stamps), config=config)


@lru_cache(KEPT)
def look_at(path: Path, files: tuple[Path, ...], stamps: tuple[Stamp | None, ...]) -> FileView:
    """The view of files as `stamps` say they are, without a config."""
    entries: dict[str, TensorInfo] = {}
    metadata: dict[str, str] = {}
    for file in files:
        tensors, described = container_of(file).header(file)
        for name, entry in tensors.items():
            if name in entries:
                raise CheckpointError(file, f"is also in {entries[name].files[0].name}", name)
            pieces = (Piece(file, name),)
            entries[name] = TensorInfo(entry.dtype, entry.shape, entry.end - entry.start, pieces)
        metadata.update(described)
    return resolved(FileView(path, entries, metadata, None))


def merged(base: FileView, modules: Iterable[FileView]) -> FileView:
    """A base model with modules from files of their own, each of which keeps its own formats.

    All must have canonical names already (`open_transformer`). Path and config.json are the base's. Raises
    `CheckpointError` where a module brings a name that is there already.
    """
    entries = dict(base.entries)
    for module in modules:
        twice = [name for name in module.entries if name in entries]
        if twice:
            problem = f"has what another file of this model has too: {counted('twice', twice)}"
            raise CheckpointError(module.path, problem)
        entries |= module.entries
    return replace(base, entries=entries)
