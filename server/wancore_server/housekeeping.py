"""What is done now and then: ended jobs and their frames go when their time is over or room is needed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from wancore_server import failpoints
from wancore_server.clock import now_ns
from wancore_server.folder import DataFolder
from wancore_server.frames.spool import Spool
from wancore_server.frames.tracks import Tracks
from wancore_server.jobs.ledger import Ledger
from wancore_server.jobs.live import LiveJob
from wancore_server.metrics import Metrics
from wancore_server.settings import ServerSettings
from wancore_server.store import Store

log = logging.getLogger(__name__)
FOREVER = 2**62


class Housekeeping:
    """`sizes` are the bytes that ended jobs hold in the spool, the oldest first."""

    def __init__(
        self, ledger: Ledger, store: Store, spool: Spool, tracks: Tracks, folder: DataFolder,
        settings: ServerSettings, metrics: Metrics,
    ) -> None:  # fmt: skip
        self.ledger, self.store, self.spool, self.tracks = ledger, store, spool, tracks
        self.folder, self.settings, self.metrics = folder, settings, metrics
        self.sizes: dict[str, int] = {}
        ledger.on_final.append(self.count)
        ledger.on_busy = folder.give_reserve
        folder.keep_reserve()

    def count(self, live: LiveJob) -> None:
        """A job has ended: from now on its frames may go when room is needed."""
        self.sizes[live.id] = self.spool.size_of(live.id)

    async def run(self) -> None:
        while True:
            try:
                await self.once()
            except Exception:
                log.exception("housekeeping failed")
            await asyncio.sleep(self.settings.housekeeping_s)

    async def once(self) -> None:
        for job in await self.store.ended_before(now_ns()):
            await self.delete(job)
        ended = await self.store.ended_before(FOREVER)
        self.sizes = {job: size for job in ended if (size := await self.spool.call(self.spool.size_of, job))}
        self.ledger.forget_idle()
        await self.spool.call(drop_stale, self.folder.uploads, self.settings.retention_s)
        self.folder.keep_reserve()
        self.metrics.spool_bytes.set(await self.spool.call(self.spool.size))
        self.metrics.asset_bytes.set(await self.store.asset_total())

    def used_by_ended(self) -> int:
        return sum(self.sizes.values())

    async def evict(self) -> bool:
        """Removes the frames of the job that ended first; whether there was one."""
        for job in await self.store.ended_before(FOREVER):
            if self.spool.size_of(job):
                self.spool.remove(job)
                self.tracks.forget(job)
                self.sizes.pop(job, None)
                log.info("frames removed to make room", extra={"job": job})
                return True
        self.sizes.clear()
        return False

    async def delete(self, job: str) -> None:
        """Removes an ended job and all it left."""
        live = self.ledger.lives.get(job)
        if live is not None and live.run is not None:
            return
        await self.store.delete_job(job)
        failpoints.reach("job-after-row")
        await self.spool.call(self.spool.remove, job)
        self.tracks.forget(job)
        self.sizes.pop(job, None)
        self.ledger.lives.pop(job, None)

    async def disk_low(self) -> bool:
        return await self.spool.call(self.folder.low, self.settings.free_bytes, self.settings.free_share)


def drop_stale(uploads: Path, retention_s: float) -> None:
    """Uploads that nobody has gone on with for so long."""
    for path in uploads.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > retention_s:
                path.unlink()
