"""JSON files that lie beside weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wancore.checkpoints.header import no_duplicates
from wancore.errors import CheckpointError

MAX_JSON_BYTES = 100_000_000


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in `file`. Raises `CheckpointError` if it holds anything else."""
    try:
        if file.stat().st_size > MAX_JSON_BYTES:
            raise CheckpointError(file, f"is larger than {MAX_JSON_BYTES // 1_000_000} MB")
        document = json.loads(file.read_bytes().decode("utf-8"), object_pairs_hook=no_duplicates)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(file, f"cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise CheckpointError(file, "is not a JSON object")
    return document
