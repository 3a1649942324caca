"""The gateway's side of the probe process: what plugins offer, and what their rules say of a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from wancore_proto.v1 import catalog_service_pb2, frames_pb2

from wancore_server.catalog.catalog import Catalog
from wancore_server.errors import ApiError, Violation, invalid
from wancore_server.logs import FieldsAdapter
from wancore_server.notify import Background, Unbroken
from wancore_server.settings import ServerSettings
from wancore_server.wire import wire_pb2
from wancore_server.workers.process import Child

log = logging.getLogger(__name__)
MAX_BAD_PLUGINS = 32
STRIKES = 2  # crashes or hangs in a row after which a family's rules are not asked for a while
NO_GPU = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Answer:
    """An accepted request. `format`: what it becomes, where that is known; `unasked`: why it is not."""

    format: frames_pb2.VideoFormat | None = None
    unasked: str = ""


class Checker:
    """Asks about one request at a time. Rules that crash, hang or are late hold up nobody for long: the
    request goes on without their word, since the worker asks them again."""

    def __init__(self, catalog: Catalog, settings: ServerSettings) -> None:
        self.catalog, self.settings = catalog, settings
        self.log = FieldsAdapter(log, worker="probe")
        self.child: Child | None = None
        self.lock = asyncio.Lock()
        self.background = Background()
        self.asking = Unbroken()
        self.number = 0
        self.strikes: dict[str, int] = {}
        self.rested: dict[str, float] = {}  # family -> time.monotonic() from which on it is asked again

    async def start(self) -> None:
        """Fills the catalogue. A plugin that crashes or hangs its import is left out of the next try."""
        for _ in range(MAX_BAD_PLUGINS):
            found, importing = await self.import_plugins("all")
            if found is not None:
                for plugin in found.plugins:
                    if plugin.entry_point in self.catalog.bad:
                        plugin.state = catalog_service_pb2.Plugin.STATE_BROKEN
                        plugin.problem = self.catalog.bad[plugin.entry_point]
                self.catalog.loras.take(found)
                self.catalog.found, self.catalog.ready = found, True
                return
            if not importing or importing in self.catalog.bad:
                break
            log.error("plugin %s crashed or hung at import", importing, extra={"plugin": importing})
            self.catalog.bad[importing] = "crashed or hung when it was imported"
        log.error("the probe process gave no answer")

    async def again(self) -> None:
        """After an installation or removal: what was bad may be good now; until then the old holds."""
        async with self.lock:
            before = self.child
            self.catalog.bad.clear()
            self.strikes.clear()
            self.rested.clear()
            await self.start()
            if before is not None and before is not self.child:
                await ended(before)

    async def import_plugins(self, what: str) -> tuple[wire_pb2.Catalog | None, str]:
        """The catalogue of a process that stays, or the plugin that was being imported when it ended.

        Each step, as the import of one plugin, may take `probe_s`: many good ones do not make a bad one.
        """
        child = await Child.start(
            "wancore_server.catalog.probe", ",".join(self.catalog.disabled), what,
            str(self.settings.checker_memory_bytes), log=self.log, environment=NO_GPU,
        )  # fmt: skip
        importing = ""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.probe_s) as limit:
                    while (report := await child.receive(wire_pb2.ProbeReport)) is not None:
                        if report.pid != child.pid:
                            continue  # from a process that a plugin forked
                        limit.reschedule(asyncio.get_running_loop().time() + self.settings.probe_s)
                        if report.HasField("catalog"):
                            self.child = child
                            return report.catalog, ""
                        importing = report.importing
            return None, importing
        finally:
            if self.child is not child:
                await ended(child)

    async def check(self, family: str, request: Mapping[str, Any]) -> Answer:
        """Raises `ApiError` where the rules of the leading `family`, or of those attached, say no."""
        if family in self.catalog.found.without_rules:
            return Answer()
        if time.monotonic() < self.rested.get(family, 0.0):
            return Answer(unasked="they have crashed or hung the process that asks them")
        # A caller that goes away must not leave half a question behind.
        return await self.asking.run(self.in_turn(family, request))

    async def in_turn(self, family: str, request: Mapping[str, Any]) -> Answer:
        try:
            async with asyncio.timeout(self.settings.checker_s / 2):
                await self.lock.acquire()
        except TimeoutError:
            return Answer(unasked="the process that asks them is busy")
        try:
            return await self.ask(family, request)
        finally:
            if self.child is None:
                self.background.start(self.restart(), "checker")  # keeps the turn until it is there again
            else:
                self.lock.release()

    async def restart(self) -> None:
        try:
            await self.import_plugins("rules")
        finally:
            self.lock.release()

    async def ask(self, family: str, request: Mapping[str, Any]) -> Answer:
        child, self.child = self.child, None
        if child is None or child.process.returncode is not None:
            return Answer(unasked="the process that asks them has ended")
        self.number += 1
        child.send(wire_pb2.CheckRequest(number=self.number, request=json.dumps(request)))
        problem, reply = "they took too long", None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.checker_s) as limit:
                reply = await self.reply(child, limit)
                problem = "they crashed the process that asks them"
        if reply is None:
            await ended(child)
            self.strike(family, problem)
            return Answer(unasked=problem)
        self.child = child
        self.strikes.pop(family, None)
        return judged(reply)

    async def reply(self, child: Child, limit: asyncio.Timeout) -> wire_pb2.CheckReply | None:
        while (reply := await child.receive(wire_pb2.CheckReply)) is not None:
            if reply.pid == child.pid and reply.importing:
                limit.reschedule(asyncio.get_running_loop().time() + self.settings.probe_s)
            elif reply.pid == child.pid and reply.number == self.number:
                return reply
        return None

    def strike(self, family: str, problem: str) -> None:
        self.log.error("the rules of %s: %s", family, problem, extra={"reason": "NOT_CHECKED"})
        self.strikes[family] = self.strikes.get(family, 0) + 1
        if self.strikes[family] >= STRIKES:
            self.rested[family] = time.monotonic() + self.settings.checker_rest_s

    async def stop(self) -> None:
        self.asking.stop()
        await self.background.stop()
        if self.child is not None:
            await ended(self.child)


def judged(reply: wire_pb2.CheckReply) -> Answer:
    """Raises `ApiError` for a refusal."""
    if reply.problems:
        raise invalid([Violation(p.field, p.problem) for p in reply.problems])
    if reply.HasField("error"):
        raise as_error(reply.error)
    if reply.raised:
        return Answer(unasked=f"they raised {reply.raised}")
    return Answer(reply.format if reply.HasField("format") else None)


def as_error(status: status_pb2.Status) -> ApiError:
    info, others = error_details_pb2.ErrorInfo(), list[Message]()
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if not detail.Unpack(info) and detail.Unpack(bad):
            others.append(bad)
    return ApiError(status.code, info.reason, status.message, dict(info.metadata), tuple(others))


async def ended(child: Child) -> None:
    child.signal(signal.SIGKILL)
    await child.wait()
