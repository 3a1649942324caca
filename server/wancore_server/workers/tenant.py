"""What a worker is busy with, as its slot sees it: an attempt at a job, or a live session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wancore_server.wire import wire_pb2


@dataclass(frozen=True)
class Loss:
    """Why an attempt ended without its worker's word. `crash`: it counts against the job."""

    reason: str
    crash: bool


class Tenant(Protocol):
    """`send` reaches the worker; `stop_worker` stops it; `stopped_for` says why that was done."""

    send: Callable[[wire_pb2.ToWorker], None]
    stop_worker: Callable[[], None]
    stopped_for: str
    started: float

    @property
    def name(self) -> str:
        """Resource name."""
        ...

    @property
    def owner(self) -> str: ...

    @property
    def family(self) -> str: ...

    @property
    def lease(self) -> wire_pb2.Lease: ...

    @property
    def overdue(self) -> bool:
        """Whether nothing has moved for much longer than a step takes."""
        ...

    async def handle(self, messages: Sequence[wire_pb2.FromWorker]) -> wire_pb2.Ended | None:
        """A batch of what the worker said; the end, if it is there."""
        ...

    async def finish(self, ended: wire_pb2.Ended) -> None:
        """After the worker's last word."""
        ...

    async def lost(self, loss: Loss) -> None:
        """The worker is gone."""
        ...
