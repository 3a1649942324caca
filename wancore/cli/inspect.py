"""`wancore inspect`: what a checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    app.command("inspect")(inspect)


def inspect(
    path: Annotated[Path, typer.Argument(help="a checkpoint file or folder")],
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """Say what a checkpoint is: its family, size and format, and what is missing."""
