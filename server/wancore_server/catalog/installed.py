"""What is installed, without importing any of it."""

from __future__ import annotations

import hashlib
import importlib.metadata

from wancore.plugins.manager import entry_points


def installed() -> frozenset[tuple[str, str, str, str]]:
    """Every plugin: its entry point, what that names, its version, and a digest of its installed files.

    Another result means that a plugin was installed, removed or replaced.
    """
    found = []
    for entry in entry_points():
        version, record = "", ""
        if entry.dist is not None:
            version, record = entry.dist.version, record_hash(entry.dist.name)
        found.append((entry.name, entry.value, version, record))
    return frozenset(found)


def record_hash(distribution: str) -> str:
    """SHA-256 of the list of installed files with their digests; '' where there is none."""
    try:
        record = importlib.metadata.distribution(distribution).read_text("RECORD") if distribution else None
    except importlib.metadata.PackageNotFoundError:  # removed this moment
        record = None
    return hashlib.sha256(record.encode()).hexdigest() if record else ""
