"""The gateway's copy of what the probe process found."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
from dataclasses import dataclass, field
from typing import Any

from wancore_proto.v1 import catalog_service_pb2

from wancore_server.catalog.loralist import LoraList
from wancore_server.errors import not_found, unavailable
from wancore_server.wire import wire_pb2
from wancore_server.workers.process import Child

log = logging.getLogger(__name__)
MAX_BAD_PLUGINS = 32


@dataclass
class Catalog:
    """Empty until the first probe has come back; `ready` then."""

    found: wire_pb2.Catalog = field(default_factory=wire_pb2.Catalog)
    ready: bool = False
    bad: dict[str, str] = field(default_factory=dict)  # entry point -> why it must not be imported
    loras: LoraList = field(default_factory=LoraList)

    @property
    def families(self) -> dict[str, catalog_service_pb2.Family]:
        return {family.name: family for family in self.found.families}

    def family(self, name: str) -> catalog_service_pb2.Family:
        """Raises `ApiError`."""
        self.require_ready()
        family = self.families.get(name)
        if family is None:
            raise not_found("Family", name, "FAMILY_UNKNOWN")
        return family

    def schema(self, family: catalog_service_pb2.Family) -> dict[str, Any]:
        schema: dict[str, Any] = json.loads(family.parameter_schema)
        return schema

    def method(self, name: str) -> catalog_service_pb2.Method | None:
        return next((m for m in self.found.methods if m.name == name), None)

    def model(self, name: str) -> wire_pb2.ModelFile:
        """Raises `ApiError`."""
        self.require_ready()
        for file in self.found.models:
            if file.model.name == name or (not name and file.model.default_model):
                return file
        raise not_found("Model", name, "MODEL_UNKNOWN")

    def model_name(self, engine_name: str) -> str:
        """Resource name of what the engine calls `engine_name`."""
        return next((f.model.name for f in self.found.models if f.engine_name == engine_name), "")

    def require_ready(self) -> None:
        if not self.ready:
            raise unavailable("STARTING", "the server is still finding out what it can do")

    @property
    def disabled(self) -> tuple[str, ...]:
        """Plugins that workers must not import."""
        return tuple(self.bad)


async def probe(catalog: Catalog, timeout_s: float) -> None:
    """Fills the catalogue. A plugin that crashes or hangs its import is left out of the next try."""
    for _ in range(MAX_BAD_PLUGINS):
        found, importing = await probe_once(catalog.disabled, timeout_s)
        if found is not None:
            for plugin in found.plugins:
                if plugin.entry_point in catalog.bad:
                    plugin.state = catalog_service_pb2.Plugin.STATE_BROKEN
                    plugin.problem = catalog.bad[plugin.entry_point]
            catalog.loras.take(found)
            catalog.found, catalog.ready = found, True
            return
        if not importing or importing in catalog.bad:
            break
        log.error("plugin %s crashed or hung at import", importing, extra={"plugin": importing})
        catalog.bad[importing] = "crashed or hung when it was imported"
    log.error("the probe process gave no answer")


async def probe_again(catalog: Catalog, timeout_s: float) -> None:
    """After something was installed or removed: what was bad may be good now. Until then the old holds."""
    catalog.bad.clear()
    await probe(catalog, timeout_s)


async def probe_once(disabled: tuple[str, ...], timeout_s: float) -> tuple[wire_pb2.Catalog | None, str]:
    """The catalogue, or None and the plugin that was being imported when the process ended."""
    adapter = logging.LoggerAdapter(log, {"worker": "probe"})
    child = await Child.start("wancore_server.catalog.probe", ",".join(disabled), log=adapter)
    importing = ""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while (report := await child.receive(wire_pb2.ProbeReport)) is not None:
                    if report.pid != child.pid:
                        continue  # from a process that a plugin forked
                    if report.HasField("catalog"):
                        return report.catalog, ""
                    importing = report.importing
        return None, importing
    finally:
        child.signal(signal.SIGKILL)
        await child.wait()
