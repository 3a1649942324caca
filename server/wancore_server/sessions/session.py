"""A live session in memory. It does not outlive the gateway: what it makes is for the moment."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.rpc import status_pb2
from wancore_proto.v1 import frames_pb2
from wancore_proto.v1alpha import session_service_pb2 as pb

from wancore_server.clock import now_ns, timestamp
from wancore_server.notify import News

if TYPE_CHECKING:
    from wancore_server.sessions.run import SessionRun

State = pb.Session.State
KEPT_BLOCKS = 4  # for who joins again
MOST_TOLD = 256  # events that wait for a client


@dataclass
class HeldBlock:
    """A complete block: raw frames in a file of its own. `tracks`: the same in other encodings."""

    number: int
    first_frame: int
    frame_count: int
    path: Path
    crcs: tuple[int, ...]
    tracks: dict[frames_pb2.Encoding, Encoded] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class Encoded:
    """One block in one encoding; the offsets are into `path`."""

    path: Path
    pieces: tuple[tuple[int, int, int, int], ...]  # first frame, frames, offset, size
    init: bytes
    codec: str


@dataclass
class Sound:
    """How far the sound of one input has come, in samples."""

    received: int = 0
    used: int = 0
    ended: bool = False


@dataclass
class LiveSession:
    """`info` is what callers see. Times are of the monotonic clock.

    `backlog`: what the client said before a worker had the session. `controls`: when those that wait for
    their block were asked for.
    """

    id: str
    owner: str
    family: str
    engine_model: str
    info: pb.Session
    folder: Path
    sounds: dict[str, Sound]
    blocks: deque[HeldBlock] = field(default_factory=deque)
    told: deque[pb.LiveEvent] = field(default_factory=lambda: deque(maxlen=MOST_TOLD))
    news: News = field(default_factory=News)
    acknowledged: int | None = None
    viewer: object | None = None
    run: SessionRun | None = None
    created: float = field(default_factory=time.monotonic)
    last_word: float = field(default_factory=time.monotonic)
    last_block: float = 0.0
    alone_since: float = field(default_factory=time.monotonic)
    joined_once: bool = False
    ended_at: float | None = None
    backlog: list[dict[str, Any]] = field(default_factory=list)
    controls: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"sessions/{self.id}"

    @property
    def ended(self) -> bool:
        return self.info.state == State.STATE_ENDED

    @property
    def allowed_blocks(self) -> int:
        """How many blocks may begin: the credit."""
        shown = 0 if self.acknowledged is None else self.acknowledged + 1
        return shown + self.info.max_lead_blocks

    def tell(self, **content: object) -> None:
        """Queues an event for the client that is joined, or joins next."""
        self.told.append(pb.LiveEvent(**content))  # type: ignore[arg-type]
        self.news.tell()

    def hold(self, block: HeldBlock) -> None:
        self.blocks.append(block)
        self.last_block = time.monotonic()
        self.info.block_count = block.number + 1
        self.info.frame_count = block.first_frame + block.frame_count
        while len(self.blocks) > KEPT_BLOCKS:
            old = self.blocks.popleft()
            for path in (old.path, *(track.path for track in old.tracks.values())):
                path.unlink(missing_ok=True)
        self.news.tell()

    def block(self, number: int) -> HeldBlock | None:
        return next((block for block in self.blocks if block.number == number), None)

    def end(self, error: status_pb2.Status | None) -> None:
        """The first end counts."""
        if self.ended:
            return
        self.info.state, self.ended_at = State.STATE_ENDED, time.monotonic()
        self.info.end_time.CopyFrom(timestamp(now_ns()))
        if error is not None:
            self.info.error.CopyFrom(error)
        self.news.tell()

    def drop_files(self) -> None:
        self.blocks.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def received(self) -> list[pb.AudioReceived]:
        return [
            pb.AudioReceived(role=role, received=sound.received, used=sound.used)
            for role, sound in self.sounds.items()
        ]
