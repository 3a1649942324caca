"""`wancore new-plugin`: a plugin to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wancore.scaffold import write_skeleton


def add_to(app: typer.Typer) -> None:
    app.command("new-plugin")(new_plugin)


def new_plugin(
    name: Annotated[str, typer.Argument(help="of the distribution and its family: soft-focus")],
    lead: Annotated[
        bool,
        typer.Option(
            "--lead/--attachment", help="a family that leads requests, or one attached to another's"
        ),
    ] = False,
    into: Annotated[Path, typer.Option(help="folder in which NAME is made")] = Path(),
) -> None:
    """Write the skeleton of a plugin: a family with an adapter, its card and its tests."""
    folder = write_skeleton(name, "lead" if lead else "attachment", into)
    typer.echo(f"{folder}\n\n    pip install -e {folder}\n    pytest {folder}\n    wancore families {name}")
