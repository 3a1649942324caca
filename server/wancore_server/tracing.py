"""W3C trace context: whose request this is part of, carried from the call's metadata into the logs.

Where a caller says `traceparent` with the sampled flag, each part of its job's life is a log line with
`span`, `trace_id`, `span_id`, `parent_id`, `start` and `seconds`, which any collector
of logs can make a trace of.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)
HEADER = "traceparent"
FORM = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SAMPLED = 1


@dataclass(frozen=True)
class Trace:
    """A place in a trace: the span that is the parent of what happens next."""

    trace_id: str
    span_id: str
    sampled: bool

    def below(self) -> Trace:
        """A new span under this one."""
        return Trace(self.trace_id, secrets.token_hex(8), self.sampled)

    def span(self, name: str, seconds: float, **fields: object) -> None:
        """Tells that something under this place has just ended, after `seconds`."""
        self.end(self.below(), name, seconds, **fields)

    def end(self, ended: Trace, name: str, seconds: float, **fields: object) -> None:
        """Tells that the span `ended`, under this place, has just ended."""
        if not self.sampled:
            return
        told = {
            "span": name, "trace_id": ended.trace_id, "span_id": ended.span_id, "parent_id": self.span_id,
            "start": round(time.time() - seconds, 6), "seconds": round(seconds, 6), **fields,
        }  # fmt: skip
        log.info("span %s", name, extra=told)

    def header(self) -> str:
        """As the standard writes it; `parse_trace` reads it."""
        return f"00-{self.trace_id}-{self.span_id}-{SAMPLED if self.sampled else 0:02x}"


def read_trace(metadata: Mapping[str, Any]) -> Trace | None:
    """The caller's, if it sends one."""
    return parse_trace(metadata.get(HEADER, ""))


def parse_trace(value: Any) -> Trace | None:
    """None where it is not in the form of the standard; later versions may say more at the end."""
    match = FORM.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match[1] == "00" and match[5]):
        return None
    return Trace(match[2], match[3], bool(int(match[4], 16) & SAMPLED))


#: The span of the call that is being answered.
current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


@contextmanager
def traced(name: str, **fields: object) -> Iterator[None]:
    """A span under the current call's, while it lasts."""
    trace, started = current_trace.get(), time.perf_counter()
    try:
        yield
    finally:
        if trace is not None:
            trace.span(name, time.perf_counter() - started, **fields)
