"""What the families' own rules say about a request, all of it together, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wancore.errors import InvalidInput, WancoreError
from wancore.events import Accepted
from wancore.plugins import PluginManager
from wancore.request import Request, parse_request
from wancore.runtime.settings import Settings
from wancore_server import hookspecs
from wancore_server.errors import MAX_VIOLATIONS, Violation
from wancore_server.hookspecs import CheckingRunner, Runner
from wancore_server.jobs.fields import violation
from wancore_server.wire import wire_pb2
from wancore_server.worker.failures import status_of
from wancore_server.worker.settled import video_format

if TYPE_CHECKING:
    from wancore.engine.engine import Engine

Fields = Mapping[str, Any]
#: What a request can do without: once refused it is left out, and the rules are asked about the rest.
#: Not inputs: what else is right depends on them.
SPARE = {"size", "frames", "fps", "steps", "solver", "shift", "guidance", "sigmas", "windows"}


@dataclass
class Rules:
    """Asks a runner, or the engine on the CPU; torch is imported with the first request for the engine,
    after `on_import`."""

    settings: Settings
    plugins: PluginManager
    on_import: Callable[[], None] = lambda: None

    @cached_property
    def runners(self) -> Mapping[str, Runner]:
        self.plugins.pluggy.add_hookspecs(hookspecs)
        return {r.family: r for _, r in self.plugins.collect("wancore_runners")}

    @cached_property
    def engine(self) -> Engine:
        self.on_import()
        from wancore.engine.engine import Engine

        return Engine(self.settings, self.plugins)

    @property
    def without(self) -> list[str]:
        """Ids of the families that are led by a runner without rules."""
        return [name for name, r in self.runners.items() if not isinstance(r, CheckingRunner)]

    def ask(self, request: Request) -> Accepted | None:
        """Raises `WancoreError`, or whatever a plugin raises."""
        runner = self.runners.get(request.family or "")
        if runner is None:
            return self.engine.check(request)
        return runner.check(request) if isinstance(runner, CheckingRunner) else None

    def answer(self, fields: Fields) -> wire_pb2.CheckReply:
        """Says no where the worker would say no; what goes wrong in a plugin is told, not judged."""
        problems: list[Violation] = []
        try:
            accepted = examine(fields, self.ask, problems)
        except WancoreError as error:
            if not problems:
                return wire_pb2.CheckReply(error=status_of(error, "", "", fields))
            accepted = None
        except Exception as error:
            if not problems:
                return wire_pb2.CheckReply(raised=type(error).__name__)
            accepted = None
        reply = wire_pb2.CheckReply(
            problems=[wire_pb2.Problem(field=p.field, problem=p.problem) for p in problems]
        )
        if accepted is not None and not problems:
            reply.format.CopyFrom(video_format(accepted))
        return reply


def examine(
    fields: Fields, ask: Callable[[Request], Accepted | None], problems: list[Violation]
) -> Accepted | None:
    """Adds every refusal to `problems`: after one, what was refused is left out and the rest asked about.

    Raises what `ask` raises beside `InvalidInput`.
    """
    whole = fields  # places in its lists are the caller's
    while len(problems) < MAX_VIOLATIONS:
        try:
            return ask(parse_request(dict(fields)))
        except InvalidInput as error:
            found = violation(error, whole)
            if found.field in (p.field for p in problems):
                return None
            problems.append(found)
            rest = next(reduced(fields, error), None)
            if rest is None:
                return None
            fields = rest
    return None


def reduced(fields: Fields, error: InvalidInput) -> Iterator[Fields]:
    """The request without what was refused; nothing where it cannot do without."""
    first, _, rest = error.field.partition(".")
    if error.attachment is not None:
        uses = fields.get("attachments", ())
        for i, use in enumerate(uses):
            if use["name"] == error.attachment and first == "params" and rest in use.get("params", {}):
                yield {**fields, "attachments": [*uses[:i], less(use, "params", rest), *uses[i + 1 :]]}
    elif first in SPARE and first in fields:
        yield {name: value for name, value in fields.items() if name != first}
    elif first == "params" and rest in fields.get("params", {}):
        yield less(fields, "params", rest)
    elif first == "methods" and fields.get("methods"):
        name = rest.partition(".")[0] or error.value
        kept = [use for use in fields["methods"] if use["name"] != name]
        if len(kept) < len(fields["methods"]):
            yield {**fields, "methods": kept}


def less(fields: Fields, table: str, name: str) -> Fields:
    """The same without one entry of one of its tables."""
    return {**fields, table: {k: v for k, v in fields[table].items() if k != name}}
