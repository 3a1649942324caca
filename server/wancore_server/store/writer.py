"""The one thread that writes: it takes whatever is waiting and commits it at once."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from wancore_server import failpoints
from wancore_server.store.model import StoreBusy

T = TypeVar("T")
MAX_GROUP = 256


@dataclass
class Task:
    """A write, and who waits for it."""

    write: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop

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
    """Group commit: each write in its own savepoint, all that wait in one transaction."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], on_commit: Callable[[float], None]) -> None:
        self.connect, self.on_commit = connect, on_commit
        self.tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.run, name="store-writer", daemon=True)
        self.thread.start()

    async def write(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `write` in a transaction; returns when it is on disk."""
        loop = asyncio.get_running_loop()
        task = Task(write, loop.create_future(), loop)
        self.tasks.put(task)
        # A caller that is cancelled leaves the write as it is: it may be committed already.
        result: T = await asyncio.shield(task.future)
        return result

    def close(self) -> None:
        self.tasks.put(None)
        self.thread.join()

    def run(self) -> None:
        connection = self.connect()
        try:
            while (task := self.tasks.get()) is not None:
                group = [task]
                while len(group) < MAX_GROUP and not self.tasks.empty():
                    more = self.tasks.get()
                    if more is None:
                        self.tasks.put(None)
                        break
                    group.append(more)
                self.commit(connection, group)
        finally:
            connection.close()

    def commit(self, connection: sqlite3.Connection, group: list[Task]) -> None:
        started = time.perf_counter()
        outcomes: list[tuple[Task, Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for task in group:
                outcomes.append((task, *self.attempt(connection, task)))
            failpoints.reach("store-before-commit")
            connection.execute("COMMIT")
            failpoints.reach("store-after-commit")
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for task in group:
                task.done(None, busy(error))
            return
        self.on_commit(time.perf_counter() - started)
        for task, result, problem in outcomes:
            task.done(result, problem)

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


def busy(error: Exception) -> Exception:
    """A locked or full store as `StoreBusy`; our own mistakes as they are."""
    return StoreBusy(str(error)) if isinstance(error, sqlite3.OperationalError) else error
