"""Having an upload looked into, by a process that can harm nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path

from wancore_server.errors import Violation, invalid
from wancore_server.logs import FieldsAdapter
from wancore_server.settings import ServerSettings
from wancore_server.wire import wire_pb2
from wancore_server.workers.process import Child

log = logging.getLogger(__name__)
KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")


async def inspect(path: Path, clean: Path, settings: ServerSettings) -> wire_pb2.Decoded:
    """What the file holds; a picture or video is written to `clean` again. Raises `ASSET_UNREADABLE`."""
    adapter = FieldsAdapter(log, worker="decoder")
    child = await Child.start(
        "wancore_server.decoder", str(path), str(clean), str(settings.image_pixels),
        str(settings.video_frames),
        str(settings.decoder_memory_bytes), str(int(settings.decoder_s) + 1),
        log=adapter, environment={name: "" for name in os.environ if name not in KEPT},
    )  # fmt: skip
    decoded = None
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.decoder_s):
                decoded = await child.receive(wire_pb2.Decoded)
    finally:
        child.signal(signal.SIGKILL)
        await child.wait()
    if decoded is None or decoded.problem:
        clean.unlink(missing_ok=True)
        problem = decoded.problem if decoded is not None else "decoding it takes too much memory or time"
        raise invalid([Violation("data", problem)], "ASSET_UNREADABLE")
    return decoded
