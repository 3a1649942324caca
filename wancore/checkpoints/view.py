"""A checkpoint on disk, seen through its headers: one file, or a folder of shards with its config."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wancore.checkpoints.header import Entry, HeaderError, read_header
from wancore.errors import CheckpointError

if TYPE_CHECKING:
    import torch

INDEX_SUFFIX = ".safetensors.index.json"


@dataclass(frozen=True)
class FileView:
    """Names, shapes, dtypes, header and file name of a checkpoint; data only through `tensor`.

    `names` maps each tensor's current name to the (file, name in that file) that holds it, so a
    renamed view still reads the right bytes. `rows` lists the tensors that are only the rows
    [first, end) of the stored one.
    """

    path: Path
    entries: Mapping[str, Entry]
    names: Mapping[str, tuple[Path, str]]
    metadata: Mapping[str, str]
    config: Mapping[str, Any] | None
    rows: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def shape(self, name: str) -> tuple[int, ...]:
        return self.entries[name].shape

    def renamed(self, names: Mapping[str, str]) -> FileView:
        """The same data under new names: `names` maps old to new; entries not listed are left out."""
        return replace(
            self,
            entries={new: self.entries[old] for old, new in names.items()},
            names={new: self.names[old] for old, new in names.items()},
            rows={new: self.rows[old] for old, new in names.items() if old in self.rows},
        )

    def split_rows(self, splits: Mapping[str, Sequence[str]]) -> FileView:
        """Each tensor named in `splits` becomes equal blocks of its rows, in order, under the new names.

        For layers that one layout stores fused and another apart, e.g. `to_qkv` [3D, D] as q, k, v.
        Raises `CheckpointError` where the rows do not divide evenly.
        """
        entries, names, rows = dict(self.entries), dict(self.names), dict(self.rows)
        for old, parts in splits.items():
            whole, source, count = entries.pop(old), names.pop(old), len(parts)
            if not whole.shape or whole.shape[0] % count:
                raise CheckpointError(
                    self.path, f"{list(whole.shape)} does not split into {count} row blocks", old
                )
            height, size = whole.shape[0] // count, (whole.end - whole.start) // count
            first = rows.pop(old, (0, 0))[0]
            for i, new in enumerate(parts):
                start = whole.start + i * size
                entries[new] = replace(whole, shape=(height, *whole.shape[1:]), start=start, end=start + size)
                names[new] = source
                rows[new] = (first + i * height, first + (i + 1) * height)
        return replace(self, entries=entries, names=names, rows=rows)

    def reshaped(self, shapes: Mapping[str, Sequence[int]]) -> FileView:
        """The same data with the given tensors seen in another shape, e.g. `[1, 1, D]` as `[D]`.

        Raises `CheckpointError` where the number of elements differs.
        """
        entries = dict(self.entries)
        for name, shape in shapes.items():
            if math.prod(shape) != math.prod(entries[name].shape):
                problem = f"{list(entries[name].shape)} cannot be seen as {list(shape)}"
                raise CheckpointError(self.path, problem, name)
            entries[name] = replace(entries[name], shape=tuple(shape))
        return replace(self, entries=entries)

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor, memory-mapped where the platform allows it. Raises `CheckpointError`."""
        from safetensors import SafetensorError, safe_open

        file, stored = self.names[name]
        try:
            with safe_open(file, framework="pt", device="cpu") as handle:
                whole: torch.Tensor = handle.get_tensor(stored)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(file, f"cannot be read: {error}", stored) from error
        part = whole[slice(*self.rows[name])] if name in self.rows else whole
        return part.reshape(self.shape(name))


def open_view(path: Path | str) -> FileView:
    """Opens a `.safetensors` file, or a folder with one checkpoint (shards, index, config.json).

    Raises `CheckpointError` for a missing, malformed, truncated or ambiguous checkpoint.
    """
    path = Path(path)
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        raise CheckpointError(path, "no such file or folder")
    if path.suffix in (".pth", ".pt", ".bin", ".ckpt"):
        raise CheckpointError(path, "is a pickle file; only safetensors files are read")
    return merge(path, [path], config=None)


def open_folder(folder: Path) -> FileView:
    config_file = folder / "config.json"
    config = read_json(config_file) if config_file.exists() else None
    indexes = sorted(folder.glob("*" + INDEX_SUFFIX))
    files = sorted(folder.glob("*.safetensors"))
    if len(indexes) == 1:
        return merge(folder, indexed_files(indexes[0]), config)
    if len(indexes) > 1 or len(files) > 1:
        names = ", ".join(f.name for f in (indexes or files)[:4])
        raise CheckpointError(folder, f"holds several checkpoints ({names}); name one of them")
    if not files:
        raise CheckpointError(folder, "holds no .safetensors file")
    return merge(folder, files, config)


def indexed_files(index: Path) -> list[Path]:
    """The shard files an index names. Raises when one is missing or lies outside the folder."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(f, str) for f in weight_map.values()):
        raise CheckpointError(index, "has no weight_map of key to file name")
    files = []
    for name in sorted(set(weight_map.values())):
        if Path(name).name != name or name in ("", ".", ".."):
            raise CheckpointError(index, f"names the shard {name!r}; accepted: a plain file name")
        if not (index.parent / name).exists():
            raise CheckpointError(index, f"names the shard {name!r}, which is missing")
        files.append(index.parent / name)
    return files


def merge(path: Path, files: list[Path], config: Mapping[str, Any] | None) -> FileView:
    entries: dict[str, Entry] = {}
    names: dict[str, tuple[Path, str]] = {}
    metadata: dict[str, str] = {}
    for file in files:
        try:
            header = read_header(file)
        except HeaderError as error:
            raise CheckpointError(file, str(error)) from error
        for name, entry in header.tensors.items():
            if name in entries:
                raise CheckpointError(file, f"also stands in {names[name][0].name}", name)
            entries[name], names[name] = entry, (file, name)
        metadata.update(header.metadata)
    return FileView(path, entries, names, metadata, config)


def read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(file, f"cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise CheckpointError(file, "is not a JSON object")
    return document
