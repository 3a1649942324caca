"""`wancore models`: what lies in a folder of models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from wancore.cli.inspect import gigabytes
from wancore.plugins import plugin_manager

if TYPE_CHECKING:
    from wancore.checkpoints.scan import Found


def add_to(app: typer.Typer) -> None:
    app.command("models")(models)


def models(
    folder: Annotated[Path, typer.Argument(help="a folder, for example ComfyUI's models/")],
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """List every checkpoint below a folder: what it is, whose, how it is stored. Reads headers only."""
    from wancore.checkpoints.scan import scan

    found = scan(folder, installed_families)
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in found], indent=1))
    else:
        show(found, Console(highlight=False))


def installed_families() -> Sequence[Any]:
    return [family for _, family in plugin_manager().collect("wancore_families")]


def show(found: Iterable[Found], console: Console) -> None:
    """One table a folder of checkpoints, problems below the file that they are about."""
    table = Table(box=None, pad_edge=False)
    for heading in ("file", "is", "family", "size", "stored as"):
        table.add_column(heading, justify="right" if heading == "size" else "left")
    count = 0
    for count, one in enumerate(found, 1):  # noqa: B007 (used after the loop)
        table.add_row(one.name, one.what, one.family, gigabytes(one.bytes), ", ".join(one.formats))
        for problem in one.problems:
            table.add_row("", f"problem: {problem}")
    console.print(table, soft_wrap=True)
    console.print(f"{count} checkpoint{'s' * (count != 1)}")
