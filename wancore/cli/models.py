"""`wancore models`: what lies in a folder of models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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

    found = scan(folder, installed_families())
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in found], indent=1))
        return
    count = 0
    for one in found:
        count += 1
        for line in lines(one):
            typer.echo(line)
    typer.echo(f"{count} checkpoint{'s' * (count != 1)}")


def installed_families() -> Sequence[Any]:
    return [family for _, family in plugin_manager().collect("wancore_families")]


def lines(found: Found) -> list[str]:
    """One for the file, and one for each problem with it."""
    facts = [found.what, gigabytes(found.bytes) if found.bytes else "", ", ".join(found.formats)]
    return [
        f"{found.name}: {'; '.join(filter(None, facts))}",
        *(f"    {problem}" for problem in found.problems),
    ]
