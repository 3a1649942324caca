"""Bringing a store's schema up to date: forward only, with a backup first."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path

VERSION = 2
#: Version -> the script that leads to it from the one before.
SCRIPTS = {1: "schema.sql", 2: "traces.sql"}
NETWORK_FILE_SYSTEMS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "fuse.sshfs",
    "ceph",
    "glusterfs",
    "afs",
}


class StoreUnusable(Exception):
    """A store that must not be opened: newer than this program, or on a network file system."""


def migrate(path: Path) -> None:
    """Creates the file, or brings it to `VERSION`. Raises `StoreUnusable`."""
    check_local(path)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        path.chmod(0o600)
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > VERSION:
            raise StoreUnusable(
                f"the store has version {found}, this server knows {VERSION}: use a newer server"
            )
        if 0 < found < VERSION:
            back_up(connection, path.with_name(f"{path.name}.v{found}.backup"))
        for version in range(found + 1, VERSION + 1):
            script = files("wancore_server.store").joinpath(SCRIPTS[version]).read_text()
            connection.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
        # Kept in the file. Changing to it needs the store alone: here a store that is locked stops the start.
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def back_up(connection: sqlite3.Connection, path: Path) -> None:
    copy = sqlite3.connect(path)
    try:
        connection.backup(copy)
    finally:
        copy.close()


def check_local(path: Path) -> None:
    """SQLite's locks do not hold on network file systems."""
    kind = file_system_of(path.absolute().parent)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreUnusable(f"the data folder is on a network file system ({kind}): choose a local one")


def file_system_of(folder: Path) -> str:
    """The type of the file system that holds `folder`, or '' where it cannot be told."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    best, kind = "", ""
    for line in mounts.read_text().splitlines():
        _, point, found, *_ = line.split()
        inside = point == "/" or str(folder) == point or str(folder).startswith(point + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind
