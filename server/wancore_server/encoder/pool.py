"""The gateway's encoder processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from wancore_proto.v1 import frames_pb2

from wancore_server.logs import FieldsAdapter
from wancore_server.wire import wire_pb2
from wancore_server.workers.process import Child

log = logging.getLogger(__name__)
TRIES = 2


class EncodingFailed(Exception):
    """A block that could not be encoded."""


class EncoderPool:
    """Gives each block to a free process; one that dies is replaced and its block tried once more."""

    def __init__(
        self, processes: int, jpeg_quality: int, crf: int, observe: Callable[[str, float], None]
    ) -> None:
        self.arguments = (str(jpeg_quality), str(crf))
        self.observe = observe
        self.log = FieldsAdapter(log, worker="encoder")
        self.free: asyncio.Queue[Child | None] = asyncio.Queue()
        self.all: set[Child] = set()
        for _ in range(processes):
            self.free.put_nowait(None)  # started when first needed

    async def encode(self, task: wire_pb2.EncodeBlock) -> wire_pb2.BlockEncoded:
        """Raises `EncodingFailed`."""
        for _ in range(TRIES):
            child = await self.free.get()
            try:
                if child is None or child.process.returncode is not None:
                    child = await self.start()
                child.send(task)
                done = await child.receive(wire_pb2.BlockEncoded)
            except BaseException:
                if child is not None:
                    await self.discard(child)  # its answer would be taken for another block's
                self.free.put_nowait(None)
                raise
            if done is None:
                await self.discard(child)
                self.free.put_nowait(None)
                continue
            self.free.put_nowait(child)
            if done.problem:
                raise EncodingFailed(done.problem)
            self.observe(
                frames_pb2.Encoding.Name(task.encoding).removeprefix("ENCODING_").lower(), done.seconds
            )
            return done
        raise EncodingFailed("the encoder process was lost twice over one block")

    async def start(self) -> Child:
        child = await Child.start("wancore_server.encoder", *self.arguments, log=self.log)
        self.all.add(child)
        return child

    async def discard(self, child: Child) -> None:
        self.all.discard(child)
        with contextlib.suppress(Exception):
            await asyncio.shield(child.stop(0.1))

    async def stop(self) -> None:
        await asyncio.gather(*(self.discard(child) for child in list(self.all)))
