"""The data folder: one gateway at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import IO

from wancore.errors import WancoreError

RESERVE_BYTES = 2 * 2**20


class DataFolder:
    """Holds the folder's lock while open. Raises `WancoreError` where another server has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.lock: IO[str] = (path / "lock").open("w")
        except OSError as error:
            raise WancoreError(f"the data folder {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.lock.close()
            raise WancoreError(f"another server uses the data folder {path}") from None
        for name in ("scratch", "assets", "uploads"):
            (path / name).mkdir(exist_ok=True, mode=0o700)
        for left in (path / "scratch").iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()

    @property
    def token(self) -> Path:
        return self.path / "token"

    @property
    def store(self) -> Path:
        return self.path / "store.db"

    @property
    def spool(self) -> Path:
        return self.path / "spool"

    @property
    def assets(self) -> Path:
        return self.path / "assets"

    @property
    def uploads(self) -> Path:
        return self.path / "uploads"

    @property
    def scratch(self) -> Path:
        return self.path / "scratch"

    def announce(self, address: str, metrics: str) -> None:
        """Writes where the server is, for programs on this machine."""
        partial = self.path / "server.json.new"
        partial.write_text(json.dumps({"address": address, "metrics": metrics, "pid": os.getpid()}))
        partial.replace(self.path / "server.json")

    def low(self, free_bytes: int, free_share: float) -> bool:
        """Whether the disk is nearly full."""
        usage = shutil.disk_usage(self.path)
        return usage.free < max(free_bytes, int(usage.total * free_share))

    def keep_reserve(self) -> None:
        """Holds some room, so that a full disk can still be told about."""
        if self.reserve.exists():
            return
        try:
            with self.reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError:
            self.reserve.unlink(missing_ok=True)

    def give_reserve(self) -> None:
        """Gives the room to the store."""
        self.reserve.unlink(missing_ok=True)

    @property
    def reserve(self) -> Path:
        return self.path / "reserve"

    def close(self) -> None:
        (self.path / "server.json").unlink(missing_ok=True)
        self.lock.close()
