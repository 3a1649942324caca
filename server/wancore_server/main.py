"""Running a gateway until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys

from wancore.errors import WancoreError
from wancore_server import logs
from wancore_server.gateway import Gateway
from wancore_server.memory import keep_freed_memory
from wancore_server.settings import ServerSettings
from wancore_server.store import StoreLost
from wancore_server.store.migrate import StoreUnusable


async def run(settings: ServerSettings) -> str:
    """SIGTERM and SIGINT drain; a second one ends at once. Returns why it ended otherwise, or ''."""
    gateway = Gateway(settings)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if gateway.drain_task is not None:
            gateway.ended.set()
        elif hasattr(gateway, "dispatcher"):
            gateway.begin_drain()
        else:
            sys.exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await gateway.start()
    await gateway.wait()
    return gateway.problem


def serve(settings: ServerSettings) -> int:
    """The exit status: 0 after a drain, 1 with a message where it cannot start or go on."""
    logs.set_up()
    keep_freed_memory()
    try:
        problem = asyncio.run(run(settings))
    except (WancoreError, StoreUnusable, StoreLost) as error:
        problem = str(error)
    if problem:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problem else 0
