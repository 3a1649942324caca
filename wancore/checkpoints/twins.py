"""Files with the same header as one that was looked at before: only their names and metadata are their own.

A folder of thousands of LoRAs has a few dozen architectures. Recognition reads no data, so what it makes of
one file's names, shapes and dtypes is what it makes of all with the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wancore.checkpoints.comfy_formats import DESCRIPTION, METADATA
from wancore.checkpoints.header import Entry, HeaderError, read_header
from wancore.checkpoints.inspect import Looked
from wancore.checkpoints.open import open_view
from wancore.checkpoints.shards import SHARD, SUFFIX

MANY = 64  # headers that are remembered at once


class Twins:
    """What was looked at, by header. Headers with the same text are one object (`read_header`)."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Mapping[str, Entry], Looked]] = {}

    def looked(self, path: Path) -> Looked | None:
        """What a file is; None where its header does not tell all, or cannot be read: open it then.

        Raises `CheckpointError`.
        """
        if path.suffix != SUFFIX or SHARD.fullmatch(path.name) or (path.parent / "config.json").exists():
            return None
        try:
            header = read_header(path)
        except HeaderError:
            return None
        if METADATA in header.metadata:
            return None
        key = id(header.tensors)
        if key in self._seen:
            return self._seen[key][1].at(path, header.metadata)
        if any(name.endswith("." + DESCRIPTION) for name in header.tensors):
            return None
        looked = Looked.of(open_view(path))
        if len(self._seen) >= MANY:
            self._seen.clear()
        self._seen[key] = header.tensors, looked
        return looked
