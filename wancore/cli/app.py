"""The command's root: built-in commands, then those of the plugins; errors become one sentence."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from wancore import __version__
from wancore.cli import catalogue, convert, doctor, download, generate, inspect, models, new_plugin, parity
from wancore.errors import WancoreError
from wancore.plugins import plugin_manager

USAGE_ERROR = 2
INTERRUPTED = 130


def build() -> typer.Typer:
    app = typer.Typer(
        name="wancore",
        help="Video from the Wan model family.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(root)
    for module in (generate, catalogue, inspect, models, convert, download, parity, new_plugin, doctor):
        module.add_to(app)
    for plugin in plugin_manager().pluggy.hook.wancore_commands.get_hookimpls():
        plugin.function(app)
    return app


def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"wancore {__version__}")
        raise typer.Exit


def run() -> None:
    """Runs the command line; exits 2 with one sentence for a mistake, 130 when interrupted."""
    try:
        build()()
    except WancoreError as error:
        print(f"wancore: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        print("wancore: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
