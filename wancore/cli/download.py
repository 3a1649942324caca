"""`wancore download`: models from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    app.command("download")(download)


def download(
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hub")],
    include: Annotated[
        list[str] | None, typer.Option(help="only files that fit this pattern; may be repeated")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="no files that fit this pattern")] = None,
    revision: Annotated[str | None, typer.Option(help="a branch, tag or commit")] = None,
    to: Annotated[Path | None, typer.Option(help="a plain folder, instead of the shared cache")] = None,
) -> None:
    """Download a repository, or some of its files. An interrupted download goes on where it stopped.

    HF_ENDPOINT, HF_TOKEN and HF_HOME are honoured. Prints the folder that the files are in.
    """
    from wancore.checkpoints.download import Wanted
    from wancore.checkpoints.download import download as fetch

    wanted = Wanted(repository, tuple(include or ()), tuple(exclude or ()), revision)
    typer.echo(fetch(wanted, to))
