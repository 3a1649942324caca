"""Opening a checkpoint by path: a file, one shard of several, an index, or the folder of one model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wancore.checkpoints.folder import find_weights, the_weights
from wancore.checkpoints.jsonfile import read_json
from wancore.checkpoints.merge import view_of
from wancore.checkpoints.shards import INDEX_SUFFIX, Weights, indexed, sharded
from wancore.checkpoints.view import FileView


def open_view(path: Path | str) -> FileView:
    """Opens a safetensors file, or a folder with one model (shards, index, config.json).

    A shard or an index opens the whole model it belongs to. Reads headers only. Raises
    `CheckpointError` for a missing, malformed, truncated, foreign or ambiguous checkpoint.
    """
    path = Path(path)
    weights = the_weights(path) if path.is_dir() else weights_at(path)
    return view_of(path, weights.files, config_beside(weights))


def weights_at(file: Path) -> Weights:
    """The weights that `file` is, or is a part of."""
    if file.name.endswith(INDEX_SUFFIX):
        return indexed(file)
    return sharded(file) or Weights(file.name, (file,))


def config_beside(weights: Weights) -> Mapping[str, Any] | None:
    """config.json of the same folder, if it can only mean these weights."""
    folder = weights.files[0].parent
    file = folder / "config.json"
    if not file.is_file():
        return None
    return read_json(file) if weights.standard or len(find_weights(folder)) == 1 else None
