"""The client for asyncio. Reading stays in threads: gRPC's asyncio reader is far slower on large frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray
from wancore_proto.v1 import catalog_service_pb2, job_pb2

from wancore_client.client import Client
from wancore_client.frames import Fragment, Frame
from wancore_client.generation import Generation
from wancore_client.session import Session


class AsyncGeneration:
    """As `Generation`, for `async for`; the state of the job is in `generation`."""

    def __init__(self, make: Callable[[], Generation]) -> None:
        self.make = make
        self.generation: Generation | None = None

    async def __aiter__(self) -> AsyncIterator[Frame | Fragment]:
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="wancore-frames")
        try:
            self.generation = await loop.run_in_executor(thread, self.make)
            frames = iter(self.generation)
            while (frame := await loop.run_in_executor(thread, next, frames, None)) is not None:
                yield frame
        finally:
            if self.generation is not None:
                self.generation.close()  # wakes the thread if it waits
            thread.shutdown(wait=False)

    async def cancel(self) -> None:
        """Cancels the job, once its name is known."""
        if self.generation is not None and self.generation.job:
            await asyncio.to_thread(self.generation.cancel)


class AsyncSession:
    """As `Session`, for `async with` and `async for`; the session itself is in `session`."""

    def __init__(self, make: Callable[[], Session]) -> None:
        self.make = make
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="wancore-session")

    async def __aenter__(self) -> Self:
        self.session = await asyncio.to_thread(self.make)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.session.close)
        self.thread.shutdown(wait=False)

    async def push(self, sound: bytes | NDArray[Any], role: str = "") -> None:
        await asyncio.to_thread(self.session.push, sound, role)

    def finish(self, role: str = "") -> None:
        self.session.finish(role)

    def samples(self, frame: Frame | Fragment) -> range:
        return self.session.samples(frame)

    def steer(self, prompt: str | None = None, negative_prompt: str | None = None) -> str:
        return self.session.steer(prompt, negative_prompt)

    async def __aiter__(self) -> AsyncIterator[Frame | Fragment]:
        loop = asyncio.get_running_loop()
        frames = iter(self.session)
        while (frame := await loop.run_in_executor(self.thread, next, frames, None)) is not None:
            yield frame


class AsyncClient:
    """As `Client`."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.client = Client(*arguments, **keywords)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await asyncio.to_thread(self.client.close)

    def generate(self, prompt: str = "", **keywords: Any) -> AsyncGeneration:
        return AsyncGeneration(partial(self.client.generate, prompt, **keywords))

    def session(self, prompt: str = "", **keywords: Any) -> AsyncSession:
        return AsyncSession(partial(self.client.session, prompt, **keywords))

    def watch(self, job: str, **keywords: Any) -> AsyncGeneration:
        return AsyncGeneration(partial(self.client.watch, job, **keywords))

    async def create(self, prompt: str = "", **keywords: Any) -> job_pb2.Job:
        return await asyncio.to_thread(partial(self.client.create, prompt, **keywords))

    async def job(self, name: str) -> job_pb2.Job:
        return await asyncio.to_thread(self.client.job, name)

    async def cancel(self, name: str) -> job_pb2.Job:
        return await asyncio.to_thread(self.client.cancel, name)

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self.client.delete, name)

    async def upload(self, path: str) -> str:
        return await asyncio.to_thread(self.client.upload, path)

    async def families(self) -> list[catalog_service_pb2.Family]:
        return await asyncio.to_thread(self.client.families)

    async def family(self, id: str) -> catalog_service_pb2.Family:
        return await asyncio.to_thread(self.client.family, id)

    async def models(self) -> list[catalog_service_pb2.Model]:
        return await asyncio.to_thread(self.client.models)

    async def loras(self) -> list[catalog_service_pb2.Lora]:
        return await asyncio.to_thread(self.client.loras)

    async def load_lora(self, name: str, worker: str = "") -> list[str]:
        return await asyncio.to_thread(self.client.load_lora, name, worker)

    async def unload_lora(self, name: str) -> list[str]:
        return await asyncio.to_thread(self.client.unload_lora, name)

    async def server_info(self) -> catalog_service_pb2.ServerInfo:
        return await asyncio.to_thread(self.client.server_info)
