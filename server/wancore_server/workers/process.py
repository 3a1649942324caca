"""Starting and stopping a child process that talks over a socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import Message

from wancore_server.wire.framing import framed, read_message

M = TypeVar("M", bound=Message)
MAX_LINE = 4096


class Child:
    """One process in its own group, with a socket to it; what it prints becomes log lines."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        printing: asyncio.Task[None],
    ) -> None:  # fmt: skip
        self.process, self.reader, self.writer, self.printing = process, reader, writer, printing

    @classmethod
    async def start(
        cls, module: str, *arguments: str, log: logging.LoggerAdapter[logging.Logger],
        environment: Mapping[str, str] | None = None,
    ) -> Child:  # fmt: skip
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, str(os.getpid()), str(theirs.fileno()), *arguments,
                pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer, asyncio.create_task(log_lines(process, log)))

    @property
    def pid(self) -> int:
        return self.process.pid

    async def receive(self, kind: type[M]) -> M | None:
        return await read_message(self.reader, kind)

    def send(self, message: Message) -> None:
        """Queues a message; a process that is gone is noticed by whoever receives."""
        if not self.writer.is_closing():
            self.writer.write(framed(message))

    def signal(self, number: signal.Signals) -> None:
        """To the whole group, so that what a plugin forked goes too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    async def wait(self) -> int:
        """Its exit status, when it has ended; then nothing of its group is left."""
        status = await self.process.wait()
        self.signal(signal.SIGKILL)
        self.writer.close()
        with contextlib.suppress(Exception):
            await self.writer.wait_closed()
        await self.printing
        return status

    async def stop(self, grace_s: float) -> int:
        """Ends it: asked, then killed."""
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(self.process.wait()), grace_s)
        except TimeoutError:
            self.signal(signal.SIGKILL)
        return await self.wait()


async def log_lines(process: asyncio.subprocess.Process, log: logging.LoggerAdapter[logging.Logger]) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(MAX_LINE):
        for line in data.decode("utf-8", "replace").splitlines():
            if line.strip():
                log.info("%s", line)
