"""The embedded store by itself, while another program holds its lock."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from importlib.resources import files
from pathlib import Path

import pytest
from wancore_server.store import NewJob, SqliteStore, StoreBusy

BUSY_S = 1.0


def test_a_write_that_comes_behind_another_is_as_patient_as_the_first(tmp_path: Path) -> None:
    """Fault 25: neither waits twice as long, and one that came late is not failed with the first."""

    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db", BUSY_S)
        lock = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        first = asyncio.ensure_future(store.put_timing("first", 1.0, 1))
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(store.put_timing("second", 1.0, 1))
        await asyncio.sleep(0.55)
        late = asyncio.ensure_future(store.put_timing("late", 1.0, 1))
        for refused in (first, second):
            with pytest.raises(StoreBusy, match="locked"):
                await refused
        assert BUSY_S <= time.monotonic() - started < 1.7 * BUSY_S and not late.done()
        lock.execute("ROLLBACK")
        lock.close()
        await late
        assert list(await store.timings()) == ["late"]
        await store.close()

    asyncio.run(run())


def test_what_was_asked_for_is_written_before_the_store_closes(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db")
        asked = [asyncio.ensure_future(store.put_timing(f"{n}", 1.0, 1)) for n in range(600)]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*asked)

    asyncio.run(run())


def test_a_store_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """With a backup first; what it holds stays."""
    path = tmp_path / "store.db"
    old = sqlite3.connect(path)
    old.executescript(files("wancore_server.store").joinpath("schema.sql").read_text())
    old.execute("PRAGMA user_version = 1")
    old.execute(
        """INSERT INTO jobs (id, owner, state, family, model, created, info)
           VALUES ('a', 'me', 1, 'f', '', 7, x'08')"""
    )
    old.commit()
    old.close()

    async def run() -> None:
        store = SqliteStore(path)
        row = await store.job("a")
        assert row is not None and (row.created, row.info, row.trace) == (7, b"\x08", "")
        new = NewJob("b", "me", "f", "", 8, b"", "", b"", (), trace="00-1")
        row, _ = await store.create_job(new, 0)
        assert row.trace == "00-1"
        await store.close()

    asyncio.run(run())
    backup = sqlite3.connect(tmp_path / "store.db.v1.backup")
    assert backup.execute("SELECT id FROM jobs").fetchall() == [("a",)]
    assert backup.execute("PRAGMA user_version").fetchone() == (1,)
    backup.close()
