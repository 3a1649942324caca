"""A block of a live request: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from wancore.errors import WancoreError
from wancore.events import BlockDone, BlockRetried, Event, Frames
from wancore.live import BlockFailed

T = TypeVar("T")
TRIES = 2


def transacted(block: int, make: Callable[[], Generator[Event, None, T]]) -> Generator[Event, None, T]:
    """The events of one block; its frames leave together, when all are there, and `BlockDone` follows.

    `make()` makes the block from the state before it, whenever it is called. A block that fails is made
    once more; `BlockFailed` after that. Mistakes in the request (`WancoreError`) are not tried again.
    """
    for left in reversed(range(TRIES)):
        held: list[Frames] = []
        try:
            result = yield from holding(make(), held)
        except WancoreError:
            raise
        except Exception as error:
            if not left:
                raise BlockFailed(block, error) from error
            yield BlockRetried(block, type(error).__name__)
            continue
        yield from held
        count = sum(len(event.frames) for event in held)
        yield BlockDone(block, held[0].index if held else 0, count)
        return result
    raise AssertionError("unreachable")


def holding(events: Generator[Event, None, T], held: list[Frames]) -> Generator[Event, None, T]:
    """The events, with frames put into `held` instead."""
    try:
        while True:
            event = next(events)
            if isinstance(event, Frames):
                held.append(event)
            else:
                yield event
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        events.close()
