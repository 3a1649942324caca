"""`wancore doctor`: what is here, what is in force and why, and whether a model fits."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from wancore.plugins import plugin_manager

Opt = typer.Option


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    model: Annotated[str | None, typer.Argument(help="also say how this model's weights would lie")] = None,
    size: Annotated[str, Opt(metavar="WxH", help="pixels of a clip, for the model")] = "832x480",
    frames: Annotated[int, Opt(help="frames of a clip, for the model")] = 81,
    vram: Annotated[str | None, Opt(metavar="16GB", help="GPU memory that may be used")] = None,
    device: Annotated[str | None, Opt(help="auto, cpu, cuda or cuda:N")] = None,
    attention: Annotated[str | None, Opt(metavar="[ROLE=]NAME,…", help="attention backend")] = None,
    as_json: Annotated[bool, Opt("--json", help="machine-readable")] = False,
) -> None:
    """Look at this machine: GPUs, kernels, attention, switches, settings, memory, plugins, disk."""
    from wancore.runtime.doctor import Doctor
    from wancore.runtime.settings import load_settings

    settings = load_settings(vram=vram, device=device, attention=attention)
    plugins = plugin_manager()
    sections = dict(Doctor(settings, plugins).sections())
    if model is not None:
        from wancore.engine.outlook import outlook

        sections["model"] = outlook(settings, plugins, model, size, frames)
    if as_json:
        typer.echo(json.dumps({name: dict(rows) for name, rows in sections.items()}, indent=1))
        return
    console = Console(highlight=False)
    for name, rows in sections.items():
        table = Table(title=name, title_justify="left", box=None, show_header=False)
        for row in rows:
            table.add_row(*row)
        console.print(table, soft_wrap=True)
        console.print()
