"""At start: what an earlier gateway left becomes legal again."""

from __future__ import annotations

import logging

from google.rpc import code_pb2

from wancore_server.catalog.catalog import Catalog
from wancore_server.errors import ApiError
from wancore_server.frames.spool import Spool
from wancore_server.jobs.ledger import Ledger, Move
from wancore_server.jobs.live import LiveJob
from wancore_server.jobs.states import CANCELLED, CANCELLING, FAILED, QUEUED, RUNNING, STARTING, UNFINISHED
from wancore_server.store import Store

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 20  # attempts that a job may get through restarts of the server


async def recover(ledger: Ledger, store: Store, spool: Spool) -> list[LiveJob]:
    """The jobs to queue again, oldest first."""
    queued = []
    for row in await store.jobs_in(UNFINISHED):
        if row.attempt:
            path = spool.path(row.id, row.attempt)
            size = path.stat().st_size if path.exists() else 0
            dropped = await store.cut_blocks(row.id, row.attempt, size)
            if dropped:
                log.warning("%d index rows pointed past the spool file", dropped, extra={"job": row.id})
        live = await ledger.open(row.id)
        await ledger.move(live, Move({CANCELLING}, CANCELLED))
        if live.attempt >= MAX_ATTEMPTS:
            error = ApiError(code_pb2.INTERNAL, "TOO_MANY_ATTEMPTS", f"{live.attempt} attempts did not end")
            await ledger.move(live, Move({STARTING, RUNNING}, FAILED, error=error.status()))
        await ledger.move(live, Move({STARTING, RUNNING}, QUEUED))
        if live.state == QUEUED:
            queued.append(live)
    await drop_orphans(store, spool)
    return queued


async def drop_orphans(store: Store, spool: Spool) -> None:
    """Files of jobs that the store does not know."""
    for job in spool.jobs():
        if await store.job(job) is None:
            spool.remove(job)


def name_models(queued: list[LiveJob], catalog: Catalog) -> None:
    """The engine's names of models are the catalogue's to tell, and may be new."""
    for live in queued:
        found = [f for f in catalog.found.models if f.model.name == live.model]
        live.engine_model = found[0].engine_name if found else ""
