"""The gateway: everything put together, started and stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server
from wancore_proto.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    asset_service_pb2,
    asset_service_pb2_grpc,
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    job_service_pb2,
    job_service_pb2_grpc,
)
from wancore_proto.v1alpha import session_service_pb2, session_service_pb2_grpc

from wancore.errors import WancoreError
from wancore_server import failpoints
from wancore_server.assets.keeper import AssetKeeper
from wancore_server.catalog.catalog import Catalog
from wancore_server.catalog.checker import Checker
from wancore_server.catalog.installed import installed
from wancore_server.encoder.pool import EncoderPool
from wancore_server.folder import DataFolder
from wancore_server.frames.provenance import provenance
from wancore_server.frames.room import Room
from wancore_server.frames.spool import Spool
from wancore_server.frames.tracks import Tracks
from wancore_server.health import HealthWatch
from wancore_server.housekeeping import Housekeeping
from wancore_server.jobs.attempt import Surroundings
from wancore_server.jobs.create import Creation
from wancore_server.jobs.dispatcher import Dispatcher
from wancore_server.jobs.ledger import Ledger
from wancore_server.jobs.queue import Queue, Share
from wancore_server.jobs.recover import name_models, recover
from wancore_server.jobs.timings import Timings
from wancore_server.jobs.watch import Viewing
from wancore_server.metrics import Metrics
from wancore_server.notify import Background
from wancore_server.security.address import check_address, credentials, is_local
from wancore_server.security.tokens import Tokens, first_token
from wancore_server.services.admin import AdminServicer
from wancore_server.services.assets import AssetServicer
from wancore_server.services.catalog import CatalogServicer
from wancore_server.services.guard import CALLS_PER_VIEWER, Guard
from wancore_server.services.jobs import JobServicer
from wancore_server.services.sessions import SessionServicer
from wancore_server.sessions.encoding import Encodings
from wancore_server.sessions.keeper import Sessions
from wancore_server.settings import ServerSettings
from wancore_server.store import SqliteStore
from wancore_server.workers.slot import Slot

log = logging.getLogger(__name__)
LAST_WORDS_S = 1.0
SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (job_service_pb2, "JobService"),
        (asset_service_pb2, "AssetService"),
        (catalog_service_pb2, "CatalogService"),
        (admin_service_pb2, "AdminService"),
        (session_service_pb2, "SessionService"),
    )
)


class Gateway:
    """`start`, then `wait`; `drain` ends it. Raises `WancoreError` for what keeps it from starting."""

    def __init__(self, settings: ServerSettings) -> None:
        check_address(settings)
        failpoints.choose(settings.fail_point)
        self.settings = settings
        self.folder = DataFolder(settings.data)
        self.metrics = Metrics()
        self.background = Background()
        self.catalog = Catalog()
        self.checker = Checker(self.catalog, settings)
        self.ended = asyncio.Event()
        self.drain_task: asyncio.Task[None] | None = None
        self.drain_until: float | None = None
        self.problem = ""  # why it ends, where nobody asked it to

    def build(self) -> None:
        s, metrics = self.settings, self.metrics
        self.store = SqliteStore(
            self.folder.store, s.store_busy_s, metrics.store_commit.observe,
            partial(asyncio.get_running_loop().call_soon_threadsafe, self.store_lost),
        )  # fmt: skip
        self.spool = Spool(self.folder.spool)
        self.ledger = Ledger(self.store, metrics, s.retention_s)
        self.encoders = EncoderPool(
            s.encoders, s.jpeg_quality, s.h264_crf, lambda name, t: metrics.encode.labels(name).observe(t)
        )
        self.tracks = Tracks(self.spool, self.encoders, provenance if s.provenance else lambda live: "")
        self.timings = Timings(self.store)
        self.housekeeping = Housekeeping(
            self.ledger, self.store, self.spool, self.tracks, self.folder, s, metrics
        )
        self.room = Room(
            s.spool_bytes, s.spool_grant_bytes, self.housekeeping.used_by_ended, self.housekeeping.evict
        )
        around = Surroundings(
            self.ledger, self.spool, self.tracks, self.room, metrics, self.timings.measured,
            s.spool_wait_s, s.watchdog_min_s, s.watchdog_factor,
        )  # fmt: skip
        self.slots = [
            Slot(i, device, s, metrics, self.wake, lambda: self.catalog.disabled, self.folder.scratch)
            for i, device in enumerate(s.devices or devices())
        ]
        self.around = around
        self.keeper = AssetKeeper(self.store, self.folder, s)

    async def build_rest(self) -> None:
        s = self.settings
        self.dispatcher = Dispatcher(
            self.slots, Queue(s.ageing_s, self.timings.estimate), self.around, self.catalog, s, self.share,
            self.keeper.path, await self.store.highest_epoch(),
        )  # fmt: skip
        self.creation = Creation(
            self.ledger, self.dispatcher, self.catalog, self.checker, self.store, s,
            self.housekeeping.disk_low,
        )  # fmt: skip
        self.sessions = Sessions(self.creation, s, self.metrics, self.folder.scratch)
        self.dispatcher.first = self.sessions.place
        viewing = Viewing(self.spool, self.tracks, self.metrics, s.heartbeat_s, s.viewer_stall_s)
        self.jobs = JobServicer(
            self.creation, self.dispatcher, viewing, self.store, s.max_viewers, self.housekeeping.delete
        )

    def wake(self) -> None:
        if hasattr(self, "dispatcher"):
            self.dispatcher.wake()

    async def share(self, owner: str) -> Share:
        caller = await self.store.caller_named(owner)
        s = self.settings
        if caller is None:
            return Share(s.queued_per_caller, s.running_per_caller)
        return Share(
            s.queued_per_caller if caller.queued_jobs is None else caller.queued_jobs,
            s.running_per_caller if caller.running_jobs is None else caller.running_jobs,
            caller.weight,
        )

    async def start(self) -> str:
        """The address it listens on."""
        self.build()
        await first_token(self.store, self.folder.token)
        await self.timings.load()
        await recover(self.ledger, self.store, self.spool)
        await self.keeper.drop_orphans()
        await self.build_rest()
        self.make_server()
        address = self.listen()
        await self.server.start()
        self.folder.announce(address, self.serve_metrics())
        self.background.start(self.begin(), "begin")
        self.background.start(self.housekeeping.run(), "housekeeping")
        self.background.start(self.health.run(), "health")
        self.background.start(self.measure_lag(), "lag")
        self.background.start(self.sessions.run(), "sessions")
        log.info("listening on %s", address)
        return address

    async def begin(self) -> None:
        """First the probe, since workers must not import what it found to be bad."""
        known = await asyncio.to_thread(installed)
        await self.checker.start()
        for slot in self.slots:
            self.background.start(slot.run(), f"worker {slot.id}")
        unfinished = [live for live in self.ledger.lives.values() if not live.final]
        name_models(unfinished, self.catalog)
        for live in sorted(unfinished, key=lambda job: job.created):
            self.dispatcher.enqueue(live)
            self.dispatcher.start_grace(live)
        self.background.start(self.dispatcher.run(), "dispatcher")
        self.background.start(self.follow_installations(known), "plugins")

    async def follow_installations(self, known: object) -> None:
        """Plugins that come, go or change while it runs; workers take them up between two jobs."""
        while True:
            await asyncio.sleep(self.settings.plugins_s)
            now = await asyncio.to_thread(installed)
            if now != known:
                known = now
                log.info("other plugins are installed; looking at them again")
                await self.checker.again()
                for slot in self.slots:
                    slot.renew()

    def make_server(self) -> None:
        s = self.settings
        guard = Guard(Tokens(self.store), self.metrics, s.max_viewers * CALLS_PER_VIEWER)
        self.server = grpc.aio.server(interceptors=(guard,), options=channel_options(s))
        self.health_service = aio.HealthServicer()
        self.health = HealthWatch(self.health_service, self.store, self.slots, self.catalog)
        job_service_pb2_grpc.add_JobServiceServicer_to_server(self.jobs, self.server)
        asset_service_pb2_grpc.add_AssetServiceServicer_to_server(
            AssetServicer(self.keeper, self.ledger), self.server
        )
        catalog = CatalogServicer(self.catalog, s, self.slots)
        catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(catalog, self.server)
        admin = AdminServicer(
            self.slots, self.catalog, self.store, self.settings, self.share, self.begin_drain
        )
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server(admin, self.server)
        sessions = SessionServicer(self.sessions, self.spool, Encodings(self.encoders))
        session_service_pb2_grpc.add_SessionServiceServicer_to_server(sessions, self.server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health_service, self.server)
        if s.reflection if s.reflection is not None else is_local(s.address):
            names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
            reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), self.server)

    def listen(self) -> str:
        s = self.settings
        tls = credentials(s)
        try:
            if s.address.startswith("unix:"):
                Path(s.address.removeprefix("unix:")).unlink(missing_ok=True)
            port = (
                self.server.add_insecure_port(s.address)
                if tls is None
                else self.server.add_secure_port(s.address, tls)
            )
        except RuntimeError as error:
            raise WancoreError(f"cannot listen on {s.address}: is another server there?") from error
        if s.address.startswith("unix:"):
            Path(s.address.removeprefix("unix:")).chmod(0o600)
            return s.address
        return f"{s.address.rpartition(':')[0]}:{port}"

    def serve_metrics(self) -> str:
        """Its address, or '' where it is off."""
        if not self.settings.metrics_address:
            return ""
        host, _, port = self.settings.metrics_address.rpartition(":")
        try:
            server, _ = start_http_server(int(port), host.strip("[]"), self.metrics.registry)
        except OSError as error:
            where = self.settings.metrics_address
            raise WancoreError(f"cannot serve metrics on {where}: {error.strerror}") from error
        return f"{host}:{server.server_port}"

    async def measure_lag(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.1)
            self.metrics.loop_lag.observe(max(0.0, time.monotonic() - before - 0.1))
            self.metrics.viewer_lag.set(self.jobs.lag)

    def begin_drain(self, seconds: float | None = None) -> float:
        """No new work from here on; the time.monotonic() at which what runs is put back."""
        if self.drain_until is None:
            self.drain_until = time.monotonic() + (self.settings.drain_s if seconds is None else seconds)
            self.drain_task = asyncio.get_running_loop().create_task(self.drain())
        return self.drain_until

    async def drain(self) -> None:
        assert self.drain_until is not None
        log.info("draining")
        self.creation.draining = self.dispatcher.paused = True
        await self.health.not_serving()
        while self.busy() and time.monotonic() < self.drain_until:
            await asyncio.sleep(0.05)
        self.sessions.drain()
        for slot in self.slots:
            slot.stop_attempt("drained")
        grace = time.monotonic() + min(1.0, self.settings.cancel_grace_s)
        while self.busy() and time.monotonic() < grace:
            await asyncio.sleep(0.02)
        self.ended.set()

    def store_lost(self) -> None:
        """Nothing that happens from here on would be kept: it ends, to be started again by its supervisor."""
        self.problem = "the store can no longer be written; the log says why"
        if hasattr(self, "health"):  # else `start` hears of it
            self.background.start(self.end_with_problem(), "end")

    async def end_with_problem(self) -> None:
        await self.health.not_serving()
        await asyncio.sleep(LAST_WORDS_S)  # who calls and who watches is told
        self.ended.set()

    def busy(self) -> bool:
        return self.sessions.busy or any(live.run is not None for live in self.ledger.lives.values())

    async def wait(self) -> None:
        """Until it has drained, or has a `problem`; then everything is stopped, nothing is left running."""
        await self.ended.wait()
        for slot in self.slots:
            await slot.stop()
        await self.server.stop(0.5)
        await asyncio.sleep(0)
        await self.stop_workers()
        await self.background.stop()
        await self.dispatcher.background.stop()
        self.ledger.changes.stop()
        await self.encoders.stop()
        await self.checker.stop()
        await self.store.close()
        self.folder.close()
        log.info("stopped")

    async def stop_workers(self) -> None:
        running = [task for task in self.background.tasks if task.get_name().startswith("worker ")]
        if running:
            await asyncio.wait(running, timeout=10)


def channel_options(s: ServerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", s.message_bytes),
        ("grpc.max_concurrent_streams", s.connection_streams),
        ("grpc.max_metadata_size", 16 * 1024),
        ("grpc.keepalive_time_ms", int(s.keepalive_time_s * 1000)),
        ("grpc.keepalive_timeout_ms", int(s.keepalive_timeout_s * 1000)),
        ("grpc.http2.ping_timeout_ms", int(s.keepalive_timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", int(s.client_ping_s * 1000)),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def devices() -> tuple[str, ...]:
    """One worker per NVIDIA GPU, else one on the CPU; without loading CUDA here."""
    gpus = sorted(p for p in Path("/dev").glob("nvidia[0-9]*"))
    return tuple(f"cuda:{i}" for i in range(len(gpus))) or ("cpu",)
