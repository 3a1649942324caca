"""Files with the same header as one that was looked at before: only their names and metadata are their own.

A folder of thousands of LoRAs has a few dozen architectures. Recognition reads no data, so what it makes of
one file's names, shapes and dtypes is what it makes of all with the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from wancore.checkpoints.comfy_formats import DESCRIPTION, METADATA
from wancore.checkpoints.gguf_header import GgufError, GgufHeader, read_gguf_header
from wancore.checkpoints.header import KEPT, Entry, Header, HeaderError, read_header
from wancore.checkpoints.inspect import Looked
from wancore.checkpoints.open import open_view
from wancore.checkpoints.shards import GGUF_SUFFIX, SHARD, SUFFIX

MANY = KEPT  # headers that are remembered at once

#: By suffix; a file that is of another kind than its name says is no twin of anything.
READ: Mapping[str, Callable[[Path], Header | GgufHeader]] = {
    SUFFIX: read_header,
    GGUF_SUFFIX: read_gguf_header,
}


class Twins:
    """What was looked at, by header. The tensors of headers with the same text are one object."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Mapping[str, Entry], Looked]] = {}

    def looked(self, path: Path) -> Looked | None:
        """What a file is; None where its header does not tell all, or cannot be read: open it then.

        Raises `CheckpointError`.
        """
        if path.suffix not in READ or SHARD.fullmatch(path.name) or (path.parent / "config.json").exists():
            return None
        try:
            header = READ[path.suffix](path)
        except (HeaderError, GgufError):
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
