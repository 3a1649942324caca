"""Models in several files: `name-00001-of-00006.safetensors`, one file a block, and their index files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wancore.checkpoints.container import container_of
from wancore.checkpoints.jsonfile import read_json
from wancore.errors import CheckpointError, shown

SUFFIX = ".safetensors"
GGUF_SUFFIX = ".gguf"
#: Of the files that weights are read from, whatever they hold.
WEIGHT_SUFFIXES = (SUFFIX, GGUF_SUFFIX)
INDEX_SUFFIX = SUFFIX + ".index.json"
SHARD = re.compile(r"(?P<name>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.safetensors|\.gguf)")
BLOCK = re.compile(r"(non_block|block_\d+)\.safetensors")
#: What diffusers, transformers and the upstream repositories call a folder's own weights.
STANDARD_NAMES = ("diffusion_pytorch_model", "model")


@dataclass(frozen=True)
class Weights:
    """The files of one model; `name` is what a message calls them."""

    name: str
    files: tuple[Path, ...]

    @property
    def standard(self) -> bool:
        """Whether they have the name that a folder's config.json refers to."""
        return self.name.removesuffix(INDEX_SUFFIX).removesuffix(SUFFIX) in STANDARD_NAMES


def sharded(file: Path) -> Weights | None:
    """All shards of the model that `file` is a shard of; None if it is not named like a shard.

    Raises `CheckpointError` when a shard is missing.
    """
    match = SHARD.fullmatch(file.name)
    if not match:
        return None
    name, count, suffix = match["name"], int(match["count"]), match["suffix"]
    names = [f"{name}-{i:05d}-of-{count:05d}{suffix}" for i in range(1, count + 1)]
    files = tuple(file.parent / n for n in names)
    missing = [f.name for f in files if not f.exists()]
    if missing or file not in files:
        what = f"{len(missing)} of {count} shards are missing ({', '.join(missing[:3])})"
        raise CheckpointError(file, what if missing else f"is no shard of {count}")
    return Weights(name + suffix, files)


def block_files(files: Iterable[Path]) -> Weights | None:
    """The files of a model saved block by block (`block_0`, …, `non_block`), if there are any."""
    blocks = tuple(f for f in files if BLOCK.fullmatch(f.name))
    return Weights("block_*" + SUFFIX, blocks) if blocks else None


def indexed(index: Path) -> Weights:
    """The files an index names. Raises `CheckpointError` if one is missing, lies elsewhere or lacks a key."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(index, "has no weight_map of key to file name")
    keys: dict[str, list[str]] = {}
    for key, name in weight_map.items():
        keys.setdefault(check_shard_name(index, name), []).append(key)
    for name, expected in keys.items():
        check_shard(index, index.parent / name, expected)
    return Weights(index.name, tuple(index.parent / name for name in sorted(keys)))


def check_shard_name(index: Path, name: object) -> str:
    """`name` if it is a plain file name: an index must not lead out of its folder."""
    if not isinstance(name, str) or not re.fullmatch(r"[^/\\\0]+\.safetensors", name):
        problem = f"names the shard {shown(name)}; accepted: the name of a .safetensors file beside it"
        raise CheckpointError(index, problem)
    return name


def check_shard(index: Path, file: Path, keys: Iterable[str]) -> None:
    if not file.is_file():
        raise CheckpointError(index, f"names the shard {file.name!r}, which is missing")
    tensors, _ = container_of(file).header(file)
    for key in keys:
        if key not in tensors:
            raise CheckpointError(index, f"is said to be in {file.name}, which does not hold it", key)
