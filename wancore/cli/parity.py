"""`wancore parity`: golden cases through the real loader and the real code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    app.command("parity")(parity)


def parity(
    paths: Annotated[list[Path], typer.Argument(help="golden cases, or folders to search for them")],
    strict: Annotated[bool, typer.Option(help="a case that was skipped is a failure")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """Compare with reference outputs; exit 0 only if something passed and nothing failed."""
    from wancore.parity.builtin import core_kinds
    from wancore.parity.runner import Summary, as_json_text, registered, run
    from wancore.plugins import plugin_manager

    manager = plugin_manager()
    kinds = [*core_kinds(), *(kind for _, kind in manager.collect("wancore_parity"))]
    families = [family.id for _, family in manager.collect("wancore_families")]
    outcomes = []
    try:
        for outcome in run(paths, registered(kinds), families):
            outcomes.append(outcome)
            if not as_json:
                typer.echo(outcome.line())
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error
    summary = Summary.of(outcomes)
    typer.echo(as_json_text(outcomes) if as_json else summary.line())
    raise typer.Exit(0 if summary.succeeded(strict) else 1)
