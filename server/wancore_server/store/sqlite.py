"""The embedded store: SQLite with a write-ahead log, one writer, readers apart."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from wancore_server.store.migrate import migrate
from wancore_server.store.model import (
    AssetRow,
    Block,
    Caller,
    Change,
    Event,
    Frames,
    JobRow,
    NewJob,
    RequestIdReused,
    StoreBusy,
    StoreLost,
)
from wancore_server.store.writer import Writer

T = TypeVar("T")
READERS = 2
FINAL = (4, 5, 7)  # SUCCEEDED, FAILED, CANCELLED
JOB = """id, owner, state, attempt, epoch, crashes, family, model, created, ended, expire, next_sequence,
         info, trace"""
ASSET = "digest, size, kind, width, height, frames, created"


class SqliteStore:
    """Implements `Store` in the file `path`.

    `busy_s`: how long a write waits for a lock that another program holds. `on_lost` is called, on a
    thread of the store's, when nothing can be written any more.
    """

    def __init__(
        self, path: Path, busy_s: float = 5.0, on_commit: Callable[[float], None] = lambda seconds: None,
        on_lost: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self.path, self.busy_s = path, busy_s
        migrate(path)
        self.writer = Writer(self.connect, busy_s, on_commit, on_lost)
        self.readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self.local = threading.local()

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=self.busy_s)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            if not hasattr(self.local, "connection"):
                self.local.connection = self.connect()
            return query(self.local.connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self.readers, run)
        except sqlite3.OperationalError as error:
            raise StoreBusy(str(error)) from error

    async def create_job(self, job: NewJob, request_ids_after: int) -> tuple[JobRow, bool]:
        def write(db: sqlite3.Connection) -> tuple[JobRow, bool]:
            if job.request_id:
                db.execute("DELETE FROM request_ids WHERE created < ?", (request_ids_after,))
                known = db.execute(
                    "SELECT job, body FROM request_ids WHERE owner = ? AND request_id = ?",
                    (job.owner, job.request_id),
                ).fetchone()
                if known is not None:
                    if known[1] != job.body:
                        raise RequestIdReused(known[0])
                    row = job_row(db, known[0])
                    if row is not None:
                        return row, False
            return insert_job(db, job), True

        return await self.writer.write(write)

    async def request_known(self, owner: str, request_id: str) -> bool:
        query = "SELECT 1 FROM request_ids WHERE owner = ? AND request_id = ?"
        return await self.read(lambda db: db.execute(query, (owner, request_id)).fetchone() is not None)

    async def job(self, job: str) -> JobRow | None:
        return await self.read(lambda db: job_row(db, job))

    async def list_jobs(
        self, owner: str, states: Collection[int], before: tuple[int, str] | None, limit: int
    ) -> list[JobRow]:
        where, values = ["owner = ?"], [owner]
        arguments: list[Any] = list(values)
        if states:
            where.append(f"state IN ({marks(states)})")
            arguments += states
        if before is not None:
            where.append("(created < ? OR (created = ? AND id > ?))")
            arguments += [before[0], before[0], before[1]]
        query = f"SELECT {JOB} FROM jobs WHERE {' AND '.join(where)} ORDER BY created DESC, id LIMIT ?"
        rows = await self.read(lambda db: db.execute(query, (*arguments, limit)).fetchall())
        return [JobRow(*row) for row in rows]

    async def jobs_in(self, states: Collection[int]) -> list[JobRow]:
        query = f"SELECT {JOB} FROM jobs WHERE state IN ({marks(states)}) ORDER BY created, id"
        rows = await self.read(lambda db: db.execute(query, tuple(states)).fetchall())
        return [JobRow(*row) for row in rows]

    async def move(
        self, job: str, expected: Collection[int], attempt: int, state: int, change: Change,
        events: Sequence[bytes],
    ) -> int | None:  # fmt: skip
        def write(db: sqlite3.Connection) -> int | None:
            row = db.execute(
                f"""UPDATE jobs SET state = ?, info = ?, attempt = ifnull(?, attempt),
                    epoch = ifnull(?, epoch), crashes = ifnull(?, crashes), ended = ifnull(?, ended),
                    expire = ifnull(?, expire), next_sequence = next_sequence + ?
                    WHERE id = ? AND attempt = ? AND state IN ({marks(expected)})
                    RETURNING next_sequence, attempt""",
                (
                    state, change.info, change.attempt, change.epoch, change.crashes, change.ended,
                    change.expire, len(events), job, attempt, *expected,
                ),
            ).fetchone()  # fmt: skip
            if row is None:
                return None
            first = int(row[0]) - len(events)
            insert_events(db, job, first, row[1], events)
            return first

        return await self.writer.write(write)

    async def append(
        self, job: str, attempt: int, states: Collection[int], entries: Sequence[bytes | Frames],
        info: bytes | None,
    ) -> int | None:  # fmt: skip
        count = sum(e.frame_count if isinstance(e, Frames) else 1 for e in entries)

        def write(db: sqlite3.Connection) -> int | None:
            row = db.execute(
                f"""UPDATE jobs SET next_sequence = next_sequence + ?, info = ifnull(?, info)
                    WHERE id = ? AND attempt = ? AND state IN ({marks(states)}) RETURNING next_sequence""",
                (count, info, job, attempt, *states),
            ).fetchone()
            if row is None:
                return None
            first = int(row[0]) - count
            insert_entries(db, job, first, attempt, entries)
            return first

        return await self.writer.write(write)

    async def history(self, job: str) -> list[Event | Block]:
        def query(db: sqlite3.Connection) -> list[Event | Block]:
            events = db.execute(
                "SELECT sequence, attempt, payload FROM events WHERE job = ? ORDER BY sequence", (job,)
            )
            blocks = db.execute(
                """SELECT first_sequence, attempt, block, first_frame, frame_count, offset, frame_bytes,
                   crcs, time FROM blocks WHERE job = ? ORDER BY first_sequence""",
                (job,),
            )
            found: list[Event | Block] = [Event(*row) for row in events]
            found += [Block(row[0], row[1], Frames(*row[2:])) for row in blocks]
            return sorted(found, key=lambda entry: entry.sequence)

        return await self.read(query)

    async def highest_epoch(self) -> int:
        query = "SELECT ifnull(max(epoch), 0) FROM jobs"
        return await self.read(lambda db: int(db.execute(query).fetchone()[0]))

    async def delete_job(self, job: str) -> None:
        await self.writer.write(lambda db: db.execute("DELETE FROM jobs WHERE id = ?", (job,)) and None)

    async def ended_before(self, expire: int) -> list[str]:
        query = f"SELECT id FROM jobs WHERE state IN ({marks(FINAL)}) AND expire < ? ORDER BY ended"
        rows = await self.read(lambda db: db.execute(query, (*FINAL, expire)).fetchall())
        return [row[0] for row in rows]

    async def cut_blocks(self, job: str, attempt: int, spool_bytes: int) -> int:
        return await self.writer.write(
            lambda db: (
                db.execute(
                    """DELETE FROM blocks WHERE job = ? AND attempt = ?
                       AND offset + frame_count * frame_bytes > ?""",
                    (job, attempt, spool_bytes),
                ).rowcount
            )
        )

    async def put_asset(self, asset: AssetRow, owner: str) -> None:
        def write(db: sqlite3.Connection) -> None:
            values = (
                asset.digest, asset.size, asset.kind, asset.width, asset.height, asset.frames, asset.created
            )  # fmt: skip
            db.execute(f"INSERT OR IGNORE INTO assets ({ASSET}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            db.execute("INSERT OR IGNORE INTO asset_owners VALUES (?, ?)", (asset.digest, owner))

        await self.writer.write(write)

    async def assets(self, owner: str, digests: Collection[str]) -> Mapping[str, AssetRow]:
        query = f"""SELECT {ASSET} FROM assets JOIN asset_owners USING (digest)
                    WHERE owner = ? AND digest IN ({marks(digests)})"""
        rows = await self.read(lambda db: db.execute(query, (owner, *digests)).fetchall())
        return {row[0]: AssetRow(*row) for row in rows}

    async def any_asset(self, digest: str) -> AssetRow | None:
        query = f"SELECT {ASSET} FROM assets WHERE digest = ?"
        row = await self.read(lambda db: db.execute(query, (digest,)).fetchone())
        return None if row is None else AssetRow(*row)

    async def asset_digests(self) -> frozenset[str]:
        rows = await self.read(lambda db: db.execute("SELECT digest FROM assets").fetchall())
        return frozenset(digest for (digest,) in rows)

    async def asset_total(self) -> int:
        query = "SELECT ifnull(sum(size), 0) FROM assets"
        return await self.read(lambda db: int(db.execute(query).fetchone()[0]))

    async def disown_asset(self, digest: str, owner: str) -> bool:
        def write(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM asset_owners WHERE digest = ? AND owner = ?", (digest, owner))
            if db.execute("SELECT 1 FROM asset_owners WHERE digest = ?", (digest,)).fetchone():
                return False
            db.execute("DELETE FROM assets WHERE digest = ?", (digest,))
            return True

        return await self.writer.write(write)

    async def caller(self, token_hash: bytes) -> Caller | None:
        return await self.read(lambda db: caller_row(db, "token_hash = ?", token_hash))

    async def caller_named(self, name: str) -> Caller | None:
        return await self.read(lambda db: caller_row(db, "name = ?", name))

    async def put_caller(self, caller: Caller, token_hash: bytes | None) -> None:
        await self.writer.write(lambda db: write_caller(db, caller, token_hash))

    async def timings(self) -> Mapping[str, tuple[float, int]]:
        rows = await self.read(lambda db: db.execute("SELECT key, seconds, count FROM timings").fetchall())
        return {key: (seconds, count) for key, seconds, count in rows}

    async def put_timing(self, key: str, seconds: float, count: int) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO timings VALUES (?, ?, ?)", (key, seconds, count))

        await self.writer.write(write)

    async def writable(self) -> bool:
        try:
            await self.writer.write(lambda db: db.execute("PRAGMA user_version").fetchone())
        except (StoreBusy, StoreLost):
            return False
        return True

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.writer.close)
        self.readers.shutdown()


def marks(values: Collection[Any]) -> str:
    return ", ".join("?" * len(values))


def job_row(db: sqlite3.Connection, job: str) -> JobRow | None:
    row = db.execute(f"SELECT {JOB} FROM jobs WHERE id = ?", (job,)).fetchone()
    return None if row is None else JobRow(*row)


def insert_job(db: sqlite3.Connection, job: NewJob) -> JobRow:
    db.execute(
        """INSERT INTO jobs (id, owner, state, family, model, created, next_sequence, info, trace)
           VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)""",
        (job.id, job.owner, job.family, job.model, job.created, 1 + len(job.events), job.info, job.trace),
    )
    insert_events(db, job.id, 1, 0, job.events)
    if job.request_id:
        db.execute(
            "INSERT OR REPLACE INTO request_ids VALUES (?, ?, ?, ?, ?)",
            (job.owner, job.request_id, job.body, job.id, job.created),
        )
    row = job_row(db, job.id)
    assert row is not None
    return row


def insert_events(
    db: sqlite3.Connection, job: str, first: int, attempt: int, events: Sequence[bytes]
) -> None:
    rows = [(job, first + i, attempt, payload) for i, payload in enumerate(events)]
    db.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)


def insert_entries(
    db: sqlite3.Connection, job: str, first: int, attempt: int, entries: Sequence[bytes | Frames]
) -> None:
    sequence = first
    for entry in entries:
        if isinstance(entry, Frames):
            db.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job, sequence, attempt, entry.block, entry.first_frame, entry.frame_count, entry.offset,
                    entry.frame_bytes, entry.crcs, entry.time,
                ),
            )  # fmt: skip
            sequence += entry.frame_count
        else:
            db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (job, sequence, attempt, entry))
            sequence += 1


def caller_row(db: sqlite3.Connection, where: str, value: Any) -> Caller | None:
    row = db.execute(
        f"SELECT name, scopes, expire, queued_jobs, running_jobs, weight FROM callers WHERE {where}", (value,)
    ).fetchone()
    return None if row is None else Caller(row[0], frozenset(row[1].split()), *row[2:])


def write_caller(db: sqlite3.Connection, caller: Caller, token_hash: bytes | None) -> None:
    values = (
        " ".join(sorted(caller.scopes)), caller.expire, caller.queued_jobs, caller.running_jobs, caller.weight
    )  # fmt: skip
    if token_hash is None:
        db.execute(
            """UPDATE callers SET scopes = ?, expire = ?, queued_jobs = ?, running_jobs = ?, weight = ?
               WHERE name = ?""",
            (*values, caller.name),
        )
    else:
        db.execute(
            """INSERT OR REPLACE INTO callers (name, token_hash, scopes, expire, queued_jobs, running_jobs,
               weight) VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (caller.name, token_hash, *values),
        )
