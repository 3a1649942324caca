"""The adapters that requests can name: found at start, and again when their folder has changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from google.rpc import code_pb2

from wancore_server.catalog.loras import listed
from wancore_server.errors import ApiError, not_found
from wancore_server.logs import FieldsAdapter
from wancore_server.names import id_of, unique
from wancore_server.wire import wire_pb2
from wancore_server.workers.process import Child

log = logging.getLogger(__name__)
LOOK_AGAIN_S = 1.0  # the folder is walked at most this often
READ_S = 60.0


class LoraList:
    """An id stays with its file for as long as the server runs, whatever comes and goes beside it."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.by_name: dict[str, wire_pb2.LoraFile] = {}
        self._ids: dict[str, str] = {}
        self._taken: set[str] = set()
        self._looked = 0.0
        self._lock = asyncio.Lock()

    def take(self, found: wire_pb2.Catalog) -> None:
        """What a child process has found; ids are given here."""
        self.folder = Path(found.loras_folder) if found.loras_folder else None
        files: dict[str, wire_pb2.LoraFile] = {}
        for file in found.loras:
            if file.path not in self._ids:
                self._ids[file.path] = unique(id_of(file.lora.display_name) or "lora", self._taken)
            file.lora.name = f"loras/{self._ids[file.path]}"
            files[file.lora.name] = file
        self.by_name = files

    @property
    def files(self) -> list[wire_pb2.LoraFile]:
        return list(self.by_name.values())

    def file(self, name: str) -> wire_pb2.LoraFile:
        """A file that can be used. Raises `ApiError`."""
        file = self.by_name.get(name)
        if file is None:
            raise self.unknown(name)
        if file.lora.problem:
            text = f"{name} cannot be used: {file.lora.problem}"
            raise ApiError(code_pb2.FAILED_PRECONDITION, "LORA_UNUSABLE", text, {"name": name})
        return file

    def unknown(self, name: str) -> ApiError:
        error = not_found("Lora", name, "LORA_UNKNOWN")
        close = get_close_matches(name, self.by_name, n=3)
        error.text += f"; there is {', '.join(close)}" if close else "; ListLoras names those that there are"
        return error

    def names(self, paths: Iterable[str]) -> list[str]:
        """Resource names of files."""
        return [f"loras/{self._ids[path]}" for path in paths if path in self._ids]

    async def look(self, wanted: Iterable[str] | None = None) -> None:
        """Looks into the folder again, unless all that is `wanted` is known or it was looked at just now."""
        if wanted is not None and all(name in self.by_name for name in wanted):
            return
        async with self._lock:
            if self.folder is None or time.monotonic() - self._looked < LOOK_AGAIN_S:
                return
            known = {file.path: file.lora.size_bytes for file in self.by_name.values()}
            if await asyncio.to_thread(sizes, self.folder) != known:
                await self.read()
            self._looked = time.monotonic()

    async def read(self) -> None:
        adapter = FieldsAdapter(log, worker="loras")
        child = await Child.start("wancore_server.catalog.loras", log=adapter)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READ_S):
                    report = await child.receive(wire_pb2.ProbeReport)
                    if report is not None:
                        self.take(report.catalog)
                        return
            log.error("the process that reads LoRA files gave no answer")
        finally:
            child.signal(signal.SIGKILL)
            await child.wait()


def sizes(folder: Path) -> dict[str, int]:
    """Every LoRA file below `folder`, with its size."""
    found = {}
    for _, path in listed(folder):
        with contextlib.suppress(OSError):  # gone meanwhile
            found[str(path)] = path.stat().st_size
    return found
