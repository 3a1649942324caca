"""AdminService."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from wancore_proto.v1 import admin_service_pb2 as pb
from wancore_proto.v1 import admin_service_pb2_grpc

from wancore_server import names
from wancore_server.catalog.catalog import Catalog
from wancore_server.clock import SECOND, now_ns, timestamp
from wancore_server.errors import invalid_field, not_found, unavailable
from wancore_server.jobs.queue import Share
from wancore_server.services.context import Context
from wancore_server.settings import ServerSettings
from wancore_server.store import Store
from wancore_server.wire import wire_pb2
from wancore_server.workers.slot import Slot

MAX_QUEUED, MAX_RUNNING, MAX_WEIGHT = 100_000, 1000, 1000.0


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """`drain(seconds)` begins a drain and tells when it ends, by the monotonic clock."""

    def __init__(
        self,
        slots: list[Slot],
        catalog: Catalog,
        store: Store,
        settings: ServerSettings,
        share: Callable[[str], Awaitable[Share]],
        drain: Callable[[float | None], float],
    ) -> None:
        self.slots, self.catalog, self.store = slots, catalog, store
        self.settings, self.share, self.drain = settings, share, drain

    def slot(self, name: str, field: str = "name") -> Slot:
        id = names.simple_id(name, "workers", field)
        for slot in self.slots:
            if slot.id == id:
                return slot
        raise not_found("Worker", name)

    async def LoadModel(self, request: pb.LoadModelRequest, context: Context) -> pb.LoadModelResponse:
        engine_name = self.catalog.model(checked_model(request.model)).engine_name
        asked = [self.slot(request.worker, "worker")] if request.worker else self.slots
        free = [slot for slot in asked if slot.free]
        if not free:
            raise unavailable("WORKER_BUSY", "no worker that could load it is free", 5)
        free[0].children[0].send(wire_pb2.ToWorker(load=wire_pb2.HoldModel(model=engine_name)))
        return pb.LoadModelResponse(worker=f"workers/{free[0].id}")

    async def UnloadModel(self, request: pb.UnloadModelRequest, context: Context) -> pb.UnloadModelResponse:
        engine_name = self.catalog.model(checked_model(request.model)).engine_name
        holding = [slot for slot in self.slots if engine_name in slot.models and slot.children]
        for slot in holding:  # a worker does one thing after another, so a running job keeps its weights
            slot.children[0].send(wire_pb2.ToWorker(unload=wire_pb2.HoldModel(model=engine_name)))
        return pb.UnloadModelResponse(workers=[f"workers/{slot.id}" for slot in holding])

    async def LoadLora(self, request: pb.LoadLoraRequest, context: Context) -> pb.LoadLoraResponse:
        path = await self.lora_path(request.lora)
        asked = [self.slot(request.worker, "worker")] if request.worker else self.slots
        up = [slot for slot in asked if slot.up]
        if not up:
            raise unavailable("NO_WORKER", "no worker that could hold it is up", 5)
        for slot in up:
            slot.children[0].send(wire_pb2.ToWorker(load_lora=wire_pb2.HoldLora(path=path)))
        return pb.LoadLoraResponse(workers=[f"workers/{slot.id}" for slot in up])

    async def UnloadLora(self, request: pb.UnloadLoraRequest, context: Context) -> pb.UnloadLoraResponse:
        path = await self.lora_path(request.lora)
        holding = [slot for slot in self.slots if path in slot.loras and slot.children]
        for slot in holding:
            slot.children[0].send(wire_pb2.ToWorker(unload_lora=wire_pb2.HoldLora(path=path)))
        return pb.UnloadLoraResponse(workers=[f"workers/{slot.id}" for slot in holding])

    async def lora_path(self, name: str) -> str:
        names.simple_id(name, "loras", "lora")
        self.catalog.require_ready()
        await self.catalog.loras.look([name])
        return self.catalog.loras.file(name).path

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        return pb.ListWorkersResponse(workers=[s.described(self.catalog) for s in self.slots])

    async def RestartWorker(self, request: pb.RestartWorkerRequest, context: Context) -> pb.Worker:
        slot = self.slot(request.name)
        slot.restart()
        return slot.described(self.catalog)

    async def Drain(self, request: pb.DrainRequest, context: Context) -> pb.DrainResponse:
        seconds = None
        if request.HasField("timeout"):
            if not 0 <= request.timeout.seconds <= 86_400 or not 0 <= request.timeout.nanos < SECOND:
                raise invalid_field("timeout", "0 to 86400 s")
            seconds = request.timeout.ToNanoseconds() / SECOND
        left = self.drain(seconds) - time.monotonic()
        return pb.DrainResponse(deadline=timestamp(now_ns() + int(max(0.0, left) * SECOND)))

    async def SetQuota(self, request: pb.SetQuotaRequest, context: Context) -> pb.Quota:
        quota = request.quota
        if quota.queued_jobs > MAX_QUEUED or quota.running_jobs > MAX_RUNNING:
            raise invalid_field("quota", f"at most {MAX_QUEUED} queued and {MAX_RUNNING} running jobs")
        if not 0 <= quota.weight <= MAX_WEIGHT:  # also false for NaN
            raise invalid_field("quota.weight", f"above 0, at most {MAX_WEIGHT:g}, or 0 to keep it")
        caller = await self.store.caller_named(quota.caller)
        if caller is None:
            raise not_found("Caller", quota.caller)
        changed = replace(
            caller,
            queued_jobs=quota.queued_jobs or caller.queued_jobs,
            running_jobs=quota.running_jobs or caller.running_jobs,
            weight=quota.weight or caller.weight,
        )
        await self.store.put_caller(changed, None)
        share = await self.share(caller.name)
        return pb.Quota(
            caller=caller.name, queued_jobs=share.queued, running_jobs=share.running, weight=share.weight
        )


def checked_model(name: str) -> str:
    names.simple_id(name, "models", "model")
    return name
