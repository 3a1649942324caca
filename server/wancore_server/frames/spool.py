"""The spool: one append-only file of raw RGB8 frames per job and attempt."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from wancore_server import failpoints

T = TypeVar("T")
SMALL = 512 * 1024  # read from the page cache in well under a millisecond


class Spool:
    """Where the frames of all jobs lie. `threads` do what could hold up the event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.threads = ThreadPoolExecutor(4, thread_name_prefix="spool")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, job: str, attempt: int) -> Path:
        return self.folder / job / f"{attempt}.rgb"

    def sound(self, job: str, attempt: int) -> Path:
        """WAV of what is heard with the frames; there is none with a silent video."""
        return self.path(job, attempt).with_suffix(".wav")

    def prepare(self, job: str, attempt: int) -> Path:
        """An empty file for a new attempt; what earlier ones left is removed."""
        path = self.path(job, attempt)
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir(mode=0o700)
        path.touch(mode=0o600)
        return path

    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, partial(function, *arguments))

    async def sync(self, job: str, attempt: int) -> None:
        """Puts what was written so far on the disk."""
        await self.call(sync_file, self.path(job, attempt))
        failpoints.reach("spool-after-sync")

    async def read(self, path: Path, offset: int, size: int) -> bytes:
        """Exactly `size` bytes. Raises `OSError` where the file is gone or shorter."""
        if size <= SMALL:
            return read_range(path, offset, size)
        return await self.call(read_range, path, offset, size)

    def remove(self, job: str) -> None:
        shutil.rmtree(self.folder / job, ignore_errors=True)

    def jobs(self) -> list[str]:
        """Jobs that have files."""
        return [entry.name for entry in os.scandir(self.folder) if entry.is_dir()]

    def size(self) -> int:
        """Bytes of all files."""
        return sum(size_of(self.folder / job) for job in self.jobs())

    def size_of(self, job: str) -> int:
        return size_of(self.folder / job)


def read_range(path: Path, offset: int, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(descriptor, size, offset)
        while len(data) < size:
            more = os.pread(descriptor, size - len(data), offset + len(data))
            if not more:
                raise OSError(f"the file ends before byte {offset + size}")
            data += more
        return data
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def size_of(folder: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder))
    except FileNotFoundError:
        return 0
