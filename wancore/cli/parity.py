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
    device: Annotated[
        str | None, typer.Option(help="run the networks there: cpu, cuda or cuda:N", show_default=False)
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="and in this type, beside plain PyTorch: float32, bfloat16 or float16", show_default=False
        ),
    ] = None,
) -> None:
    """Compare with reference outputs; exit 0 only if something passed and nothing failed."""
    from wancore.errors import InvalidInput
    from wancore.parity.builtin import core_kinds
    from wancore.parity.place import Place
    from wancore.parity.runner import Summary, as_json_text, registered, run
    from wancore.plugins import plugin_manager
    from wancore.runtime.device import DTYPES, pick_device

    place = None
    if device is not None or dtype is not None:
        if dtype not in (None, *DTYPES):
            raise InvalidInput("dtype", dtype, ", ".join(DTYPES))
        place = Place(str(pick_device(device or "cpu")), dtype or "float32")
    manager = plugin_manager()
    kinds = [*core_kinds(), *(kind for _, kind in manager.collect("wancore_parity"))]
    families = [family.id for _, family in manager.collect("wancore_families")]
    outcomes = []
    try:
        for outcome in run(paths, registered(kinds), families, place):
            outcomes.append(outcome)
            if not as_json:
                typer.echo(outcome.line())
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error
    summary = Summary.of(outcomes)
    typer.echo(as_json_text(outcomes) if as_json else summary.line())
    raise typer.Exit(0 if summary.succeeded(strict) else 1)
