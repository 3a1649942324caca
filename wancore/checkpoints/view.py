"""A checkpoint on disk, seen through its headers: one file, or a folder of shards with its config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    renamed view still reads the right bytes.
    """

    path: Path
    entries: Mapping[str, Entry]
    names: Mapping[str, tuple[Path, str]]
    metadata: Mapping[str, str]
    config: Mapping[str, Any] | None

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
        )

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor, memory-mapped where the platform allows it. Raises `CheckpointError`."""
        from safetensors import SafetensorError, safe_open

        file, stored = self.names[name]
        try:
            with safe_open(file, framework="pt", device="cpu") as handle:
                return handle.get_tensor(stored)  # type: ignore[no-any-return]
        except (OSError, SafetensorError) as error:
            raise CheckpointError(file, f"cannot be read: {error}", stored) from error


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
