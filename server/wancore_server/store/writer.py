"""The one thread that writes: it takes whatever is waiting and commits it at once."""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from wancore_server import failpoints
from wancore_server.store.model import StoreBusy, StoreLost

log = logging.getLogger(__name__)
T = TypeVar("T")
LOST = "the thread that writes the store died"
MAX_GROUP = 256


@dataclass(eq=False)
class Task:
    """A write, and who waits for it."""

    write: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    until: float  # time.monotonic(): a store that is still locked then is busy

    def done(self, result: Any, error: BaseException | None) -> None:
        def settle() -> None:
            if self.future.done():
                return
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)

        self.loop.call_soon_threadsafe(settle)


class Writer:
    """Group commit: each write in its own savepoint, all that wait in one transaction.

    `busy_s`: how long a write may wait for a lock that another program holds, from when it was asked for:
    one that came while another waited does not wait as long again.

    `on_lost` is called on the thread if it dies of something unforeseen: nobody waits for it in vain then.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], busy_s: float, on_commit: Callable[[float], None],
        on_lost: Callable[[], object],
    ) -> None:  # fmt: skip
        self.connect, self.busy_s, self.on_commit, self.on_lost = connect, busy_s, on_commit, on_lost
        self.tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.closing = False
        self.asking = threading.Lock()  # from looking whether the store is lost to asking for a write
        self.lost = False
        self.thread = threading.Thread(target=self.run, name="store-writer", daemon=True)
        self.thread.start()

    async def write(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `write` in a transaction; returns when it is on disk.

        Raises `StoreBusy`, or `StoreLost`: then it may be on disk, or not.
        """
        loop = asyncio.get_running_loop()
        task = Task(write, loop.create_future(), loop, time.monotonic() + self.busy_s)
        with self.asking:
            if self.lost:
                raise StoreLost(LOST)
            self.tasks.put(task)
        # A caller that is cancelled leaves the write as it is: it may be committed already.
        result: T = await asyncio.shield(task.future)
        return result

    def close(self) -> None:
        """Returns when all that was asked for is on disk or has failed."""
        self.tasks.put(None)
        self.thread.join()

    def run(self) -> None:
        group: list[Task] = []
        try:
            with closing(self.connect()) as connection:
                while self.gather(group):
                    failpoints.reach("store-writer")
                    group = self.commit(connection, group)
        except BaseException:
            log.critical("the thread that writes the store died", exc_info=True)
            self.give_up(group)

    def give_up(self, group: list[Task]) -> None:
        """Tells everyone who waits, and whoever asks from now on."""
        with self.asking:
            self.lost = True
        while not self.tasks.empty():
            if (task := self.tasks.get()) is not None:
                group.append(task)
        for task in group:
            with suppress(RuntimeError):  # nobody waits: its loop is closed
                task.done(None, StoreLost(LOST))
        self.on_lost()

    def gather(self, group: list[Task]) -> bool:
        """Adds what is asked for, and waits for it where nothing is; False where nothing will come."""
        while len(group) < MAX_GROUP and not (self.closing or (group and self.tasks.empty())):
            task = self.tasks.get()
            if task is None:
                self.closing = True
            else:
                group.append(task)
        return bool(group)

    def commit(self, connection: sqlite3.Connection, group: list[Task]) -> list[Task]:
        """Returns those that can still wait, where the store is locked."""
        started = time.perf_counter()
        outcomes: list[tuple[Task, Any, BaseException | None]] = []
        try:
            begin(connection, min(task.until for task in group))
            for task in group:
                outcomes.append((task, *self.attempt(connection, task)))
            failpoints.reach("store-before-commit")
            connection.execute("COMMIT")
            failpoints.reach("store-after-commit")
        except Exception as error:
            now = time.monotonic()
            patient = [task for task in group if task.until > now] if locked(error) and not outcomes else []
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for task in group:
                if task not in patient:
                    task.done(None, busy(error))
            return patient
        self.on_commit(time.perf_counter() - started)
        for task, result, problem in outcomes:
            task.done(result, problem)
        return []

    def attempt(self, connection: sqlite3.Connection, task: Task) -> tuple[Any, Exception | None]:
        connection.execute("SAVEPOINT one")
        try:
            result = task.write(connection)
        except sqlite3.OperationalError:
            raise  # the store itself: the whole group fails
        except Exception as error:
            connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")
            return None, error
        connection.execute("RELEASE one")
        return result, None


def begin(connection: sqlite3.Connection, until: float) -> None:
    """Begins to write, where the lock comes free before `until` of `time.monotonic()`."""
    left_ms = max(0, math.ceil(1000 * (until - time.monotonic())))
    connection.execute(f"PRAGMA busy_timeout = {left_ms}")
    connection.execute("BEGIN IMMEDIATE")


def locked(error: Exception) -> bool:
    """Whether another program holds the lock."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_BUSY  # the rest of the code says why


def busy(error: Exception) -> Exception:
    """A locked or full store as `StoreBusy`; our own mistakes as they are."""
    return StoreBusy(str(error)) if isinstance(error, sqlite3.OperationalError) else error
