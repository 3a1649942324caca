"""The gateway's copy of what the probe process found."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from wancore_proto.v1 import catalog_service_pb2

from wancore_server.catalog.loralist import LoraList
from wancore_server.errors import not_found, unavailable
from wancore_server.wire import wire_pb2


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
