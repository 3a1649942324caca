"""What a worker's process says, many messages at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from wancore_server.wire import wire_pb2
from wancore_server.workers.process import Child


async def batches(
    child: Child, beat: Callable[[wire_pb2.Beat], None]
) -> AsyncGenerator[list[wire_pb2.FromWorker], None]:
    """All that is there, until the process ends; its beats at once, however long a batch takes."""
    waiting: asyncio.Queue[wire_pb2.FromWorker | None] = asyncio.Queue(maxsize=1024)

    async def read() -> None:
        while (message := await child.receive(wire_pb2.FromWorker)) is not None:
            if message.HasField("beat"):
                beat(message.beat)
            else:
                await waiting.put(message)
        await waiting.put(None)

    reading = asyncio.create_task(read())
    try:
        while True:
            batch = [await waiting.get()]
            while not waiting.empty():
                batch.append(waiting.get_nowait())
            yield [message for message in batch if message is not None]
            if batch[-1] is None:
                return
    finally:
        reading.cancel()
