"""What a plugin can add to the server beyond the core's hooks.

A plugin's implementation says `@hookimpl(optionalhook=True)`, so that it loads where no server is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from wancore.events import Accepted, Event
from wancore.plugins.hookspecs import hookspec
from wancore.request import Request

if TYPE_CHECKING:
    from wancore.live import Live


class Runner(Protocol):
    """Turns the requests of one family into events in another way than the engine does."""

    @property
    def family(self) -> str:
        """Id of the family whose requests it takes."""
        ...

    def run(self, request: Request) -> Iterator[Event]:
        """As `wancore.engine.engine.Engine.generate`; closing the iterator cancels."""
        ...


@runtime_checkable
class CheckingRunner(Runner, Protocol):
    """A runner that knows before the run what it refuses. Without `check`, such requests fail as jobs."""

    def check(self, request: Request) -> Accepted | None:
        """What it would make, where that is known; no weights, no GPU, within a second or so.

        Raises `wancore.errors.InvalidInput` naming the field.
        """
        ...


@runtime_checkable
class LiveRunner(Runner, Protocol):
    """A runner whose requests can be fed while they run."""

    def run_live(self, request: Request, live: Live) -> Iterator[Event]:
        """As `Engine.generate` with `live`; `wancore.engine.blocks.transacted` makes its blocks whole."""
        ...


@hookspec
def wancore_runners() -> Iterable[Runner]:
    """Runners of families that do not go through the engine."""
    raise NotImplementedError
