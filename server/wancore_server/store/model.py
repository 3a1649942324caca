"""What a store keeps and promises; `sqlite.py` is the implementation for one gateway."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class StoreBusy(Exception):
    """The store could not be written in time."""


class StoreLost(Exception):
    """Nothing can be written any more, whatever is tried: the server has to start again."""


class RequestIdReused(Exception):
    """A request id that stands for another request; `job` is that one's."""

    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__(job)


@dataclass(frozen=True)
class NewJob:
    """A job to be stored. `body`: digest of the request, compared where `request_id` was used before;
    `trace`: where it belongs in the caller's trace, as the header `traceparent` says it, or ''."""

    id: str
    owner: str
    family: str
    model: str
    created: int
    info: bytes
    request_id: str
    body: bytes
    events: tuple[bytes, ...]
    trace: str = ""


@dataclass(frozen=True)
class JobRow:
    """A stored job; times in nanoseconds since 1970, `info` a serialised `wancore.v1.Job`."""

    id: str
    owner: str
    state: int
    attempt: int
    epoch: int
    crashes: int
    family: str
    model: str
    created: int
    ended: int | None
    expire: int | None
    next_sequence: int
    info: bytes
    trace: str


@dataclass(frozen=True)
class Event:
    """A stored event: a serialised `wancore.v1.JobEvent` without its sequence."""

    sequence: int
    attempt: int
    payload: bytes

    @property
    def last_sequence(self) -> int:
        return self.sequence


@dataclass(frozen=True)
class Frames:
    """Frames of one decoded block, as a worker announces them; `crcs` little endian, one per frame."""

    block: int
    first_frame: int
    frame_count: int
    offset: int
    frame_bytes: int
    crcs: bytes
    time: int


@dataclass(frozen=True)
class Block:
    """Stored frames: frame `first_frame + k` has the sequence `sequence + k`."""

    sequence: int
    attempt: int
    frames: Frames

    @property
    def last_sequence(self) -> int:
        return self.sequence + self.frames.frame_count - 1


@dataclass(frozen=True)
class Change:
    """What a move sets besides the state; None: as it was."""

    info: bytes
    attempt: int | None = None
    epoch: int | None = None
    crashes: int | None = None
    ended: int | None = None
    expire: int | None = None


@dataclass(frozen=True)
class AssetRow:
    """A stored asset; `kind` is a `wancore.v1.Asset.Kind`."""

    digest: str
    size: int
    kind: int
    width: int
    height: int
    frames: int
    created: int


@dataclass(frozen=True)
class Caller:
    """Who may call. `queued_jobs`, `running_jobs`: None for the server's setting."""

    name: str
    scopes: frozenset[str]
    expire: int | None = None
    queued_jobs: int | None = None
    running_jobs: int | None = None
    weight: float = 1.0


class Store(Protocol):
    """Every write is durable when it returns. Raises `StoreBusy` where it cannot be made in time, and
    `StoreLost` from when on none can."""

    async def create_job(self, job: NewJob, request_ids_after: int) -> tuple[JobRow, bool]:
        """The stored job and whether it is new. Request ids older than `request_ids_after` are forgotten.

        Raises `RequestIdReused`.
        """
        ...

    async def request_known(self, owner: str, request_id: str) -> bool:
        """Whether a job was made with this request id."""
        ...

    async def job(self, job: str) -> JobRow | None: ...

    async def list_jobs(
        self, owner: str, states: Collection[int], before: tuple[int, str] | None, limit: int
    ) -> list[JobRow]:
        """Newest first; `before`: creation time and id of the last one of the page before."""
        ...

    async def jobs_in(self, states: Collection[int]) -> list[JobRow]: ...

    async def move(
        self, job: str, expected: Collection[int], attempt: int, state: int, change: Change,
        events: Sequence[bytes],
    ) -> int | None:  # fmt: skip
        """Compare-and-set on (state, attempt), with its events: the first event's sequence.

        None, and nothing is written, where the job is not in an expected state of this attempt.
        """
        ...

    async def append(
        self, job: str, attempt: int, states: Collection[int], entries: Sequence[bytes | Frames],
        info: bytes | None,
    ) -> int | None:  # fmt: skip
        """Events and frames of an attempt that is in one of `states`: the first sequence, or None."""
        ...

    async def history(self, job: str) -> list[Event | Block]: ...

    async def highest_epoch(self) -> int:
        """The highest lease epoch ever given."""
        ...

    async def delete_job(self, job: str) -> None: ...

    async def ended_before(self, expire: int) -> list[str]:
        """Ended jobs that may be deleted at this time."""
        ...

    async def cut_blocks(self, job: str, attempt: int, spool_bytes: int) -> int:
        """Drops index rows that point past the spool file; how many."""
        ...

    async def put_asset(self, asset: AssetRow, owner: str) -> None: ...

    async def assets(self, owner: str, digests: Collection[str]) -> Mapping[str, AssetRow]: ...

    async def asset_digests(self) -> frozenset[str]:
        """Of everyone's assets."""
        ...

    async def asset_total(self) -> int:
        """Bytes of all assets."""
        ...

    async def any_asset(self, digest: str) -> AssetRow | None:
        """An asset, whoever owns it."""
        ...

    async def disown_asset(self, digest: str, owner: str) -> bool:
        """Whether nobody owns it any more; the row is gone then."""
        ...

    async def caller(self, token_hash: bytes) -> Caller | None: ...

    async def caller_named(self, name: str) -> Caller | None: ...

    async def put_caller(self, caller: Caller, token_hash: bytes | None) -> None:
        """Adds a caller, or changes one (the token only where a hash is given)."""
        ...

    async def timings(self) -> Mapping[str, tuple[float, int]]: ...

    async def put_timing(self, key: str, seconds: float, count: int) -> None: ...

    async def writable(self) -> bool: ...

    async def close(self) -> None: ...
