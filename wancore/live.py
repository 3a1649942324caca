"""What reaches a request while it runs: sound as it is spoken, other words, and leave to go on.

One thread feeds, another runs the engine. A live request is made in blocks, one for each window; a block
begins when its sound is there, the block is allowed and nothing is paused.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from wancore.errors import InvalidInput, WancoreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples: TypeAlias = NDArray[np.float32]


class LiveClosed(WancoreError):
    """Whoever fed a live request has gone, or its lease ran out."""


class BlockFailed(WancoreError):
    """A block failed twice; `block` is its number, `__cause__` the last error."""

    def __init__(self, block: int, cause: Exception) -> None:
        self.block, self.cause = block, cause
        super().__init__(f"block {block} failed twice: {cause}")


@dataclass(frozen=True)
class Steering:
    """Words for the blocks not yet begun; None: as before. `id`: the caller's own."""

    id: str
    prompt: str | None = None
    negative_prompt: str | None = None


@dataclass
class Heard:
    """The sound of one role: samples from `start` on, of which `count` have come in all."""

    parts: deque[Samples] = field(default_factory=deque)
    start: int = 0
    count: int = 0
    ended: bool = False


class Live:
    """`roles` arrive while the request runs; `rate` samples a second. Safe to use from several threads.

    `allowed`: how many blocks may begin; None: any number. `on_wait` is told when the engine begins to wait
    for any of this (True), and when that is over.
    """

    def __init__(self, roles: Iterable[str] = ("audio",), rate: int = 16_000, allowed: int | None = None):
        self.rate, self.allowed = rate, allowed
        self.sounds: Mapping[str, Heard] = {role: Heard() for role in roles}
        self.changed = threading.Condition()
        self.steerings: deque[Steering] = deque()
        self.closed = self.paused = False
        self.begun = 0  # blocks
        self.lease_until: float | None = None
        self.on_wait: Callable[[bool], None] = lambda waiting: None

    def push(self, samples: Samples, role: str = "audio") -> None:
        """More sound: float32 [S], mono, full scale 1. Raises `InvalidInput` after its end."""
        import numpy as np

        with self.changed:
            heard = self.sound(role)
            if heard.ended:
                raise InvalidInput("sound", f"{len(samples)} samples", f"nothing after the end of {role}")
            heard.parts.append(np.asarray(samples, np.float32))
            heard.count += len(samples)
            self.changed.notify_all()

    def end(self, role: str | None = None) -> None:
        """No more sound of this role; None: of any."""
        with self.changed:
            for heard in self.sounds.values() if role is None else (self.sound(role),):
                heard.ended = True
            self.changed.notify_all()

    def close(self) -> None:
        """The request is to stop: whoever waits gets `LiveClosed`."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def allow(self, blocks: int) -> None:
        """Lets the first `blocks` blocks begin; it never takes leave back."""
        with self.changed:
            self.allowed = blocks if self.allowed is None else max(self.allowed, blocks)
            self.changed.notify_all()

    def pause(self, paused: bool = True) -> int:
        """Holds back blocks that have not begun, or lets them begin; the number of the first of them."""
        with self.changed:
            self.paused = paused
            self.changed.notify_all()
            return self.begun

    def steer(self, steering: Steering) -> None:
        with self.changed:
            self.steerings.append(steering)

    def renew(self, seconds: float) -> None:
        """Waits end with `LiveClosed` unless this is called again within `seconds`."""
        with self.changed:
            self.lease_until = time.monotonic() + seconds

    def sound(self, role: str) -> Heard:
        if role not in self.sounds:
            raise InvalidInput("role", role, f"one that arrives live: {', '.join(self.sounds) or 'none'}")
        return self.sounds[role]

    def await_sound(self, role: str, stop: int) -> int | None:
        """Waits until `stop` samples are there; how many there are in all, or None: it goes on."""
        heard = self.sound(role)
        with self.changed:
            self.wait(lambda: heard.count >= stop or heard.ended)
            return heard.count if heard.ended else None

    def read(self, role: str, start: int, stop: int) -> Samples:
        """Samples [start, stop), as far as they are there. Raises `ValueError` for what was forgotten."""
        import numpy as np

        with self.changed:
            heard = self.sound(role)
            if start < heard.start:
                raise ValueError(f"sample {start} was forgotten; the first left is {heard.start}")
            whole = np.concatenate((np.zeros(0, np.float32), *heard.parts))
            heard.parts = deque((whole,))
            return whole[start - heard.start : stop - heard.start]

    def forget(self, role: str, before: int) -> None:
        """Drops samples that nobody will read again."""
        with self.changed:
            heard = self.sound(role)
            while heard.parts and heard.start + len(heard.parts[0]) <= before:
                heard.start += len(heard.parts.popleft())
            if heard.parts and heard.start < before:
                heard.parts[0] = heard.parts[0][before - heard.start :].copy()
                heard.start = before

    def begin(self, block: int) -> list[Steering]:
        """Waits until the block may begin; what is to change from it on, oldest first."""
        with self.changed:
            self.wait(lambda: not self.paused and (self.allowed is None or block < self.allowed))
            self.begun = block + 1
            steerings = list(self.steerings)
            self.steerings.clear()
            return steerings

    def wait(self, ready: Callable[[], bool]) -> None:
        """With the condition held."""
        waited = False
        while not self.closed and not ready():
            if not waited:
                self.on_wait(waited := True)
            left = None if self.lease_until is None else self.lease_until - time.monotonic()
            if left is not None and left <= 0:
                raise LiveClosed("the lease of this session was not renewed")
            self.changed.wait(left)
        if waited:
            self.on_wait(False)
        if self.closed:
            raise LiveClosed("the session was closed")
