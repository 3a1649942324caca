"""`python -m wancore_server`: as `wancore serve`."""

from __future__ import annotations

import typer

from wancore_server.commands import add_commands

app = typer.Typer(add_completion=False)
add_commands(app)

if __name__ == "__main__":
    app()
