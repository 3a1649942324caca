"""Health as grpc.health.v1 tells it: truthful within a second, never false for a load in progress."""

from __future__ import annotations

import asyncio

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

from wancore_server.catalog.catalog import Catalog
from wancore_server.store import Store
from wancore_server.workers.slot import Slot

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
JOBS = "wancore.v1.JobService"
PERIOD_S, STORE_PERIOD = 0.5, 10


class HealthWatch:
    """`""`: the gateway is up and its store can be written. `wancore.v1.JobService`: jobs get done.
    `model/{id}`: a worker takes jobs for it."""

    def __init__(
        self, service: aio.HealthServicer, store: Store, slots: list[Slot], catalog: Catalog
    ) -> None:
        self.service, self.store, self.slots, self.catalog = service, store, slots, catalog
        self.told: dict[str, int] = {}
        self.draining = False

    async def run(self) -> None:
        count = 0
        while not self.draining:
            if count % STORE_PERIOD == 0:
                await self.tell("", await self.store.writable())
            count += 1
            await self.tell(JOBS, any(slot.healthy for slot in self.slots))
            up = any(slot.takes("") for slot in self.slots)
            for file in self.catalog.found.models:
                await self.tell("model/" + file.model.name.removeprefix("models/"), up)
            for name in self.catalog.families:
                id = name.removeprefix("families/")
                await self.tell(f"family/{id}", any(slot.takes(id) for slot in self.slots))
            await asyncio.sleep(PERIOD_S)

    async def tell(self, name: str, good: bool) -> None:
        status = SERVING if good and not self.draining else NOT_SERVING
        if self.told.get(name) != status:
            self.told[name] = status
            await self.service.set(name, status)

    async def not_serving(self) -> None:
        """The first step of a drain."""
        self.draining = True
        for name in list(self.told):
            await self.tell(name, False)
