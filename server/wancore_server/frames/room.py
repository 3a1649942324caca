"""Who may write how much: the cap on the spool, shared by all attempts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from wancore_server.notify import News


class Room:
    """Grants room in steps of `step` bytes below `cap` in all.

    `used()` is what ended jobs take; `evict()` frees the oldest of them and says whether it could.
    """

    def __init__(
        self, cap: int, step: int, used: Callable[[], int], evict: Callable[[], Awaitable[bool]]
    ) -> None:
        self.cap, self.step, self.used, self.evict = cap, step, used, evict
        self.granted: dict[str, int] = {}
        self.news = News()

    @property
    def free(self) -> int:
        return self.cap - self.used() - sum(self.granted.values())

    def first(self, job: str) -> int:
        """What a new attempt gets without asking; may be nothing."""
        given = max(0, min(self.step, self.free))
        self.granted[job] = given
        return given

    async def grant(self, job: str, total: int, wait_s: float) -> int:
        """The new total for a job, at least `total` bytes; 0 where there was no room in time."""
        while job in self.granted:
            more = total - self.granted[job]
            if more <= 0:
                return self.granted[job]
            if self.free >= more:
                self.granted[job] += max(more, min(self.step, self.free))
                return self.granted[job]
            if await self.evict():
                continue
            if not await self.news.wait(wait_s):
                return 0
        return 0

    def release(self, job: str) -> None:
        """An attempt is over; what it wrote counts as used from here on."""
        self.granted.pop(job, None)
        self.news.tell()
