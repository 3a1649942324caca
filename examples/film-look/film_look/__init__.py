"""Film look: a mood learned from two prompts, and a colour table on the finished frames."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wancore.plugins import hookimpl
from wancore.sampling.lazy import schedule_at, solver_at
from wancore.sampling.solver import SolverSpec

if TYPE_CHECKING:
    from wancore.plugins.family import Family

WANCORE_API = (1, 1)


@hookimpl
def wancore_families() -> Iterable[Family]:
    from film_look.family import FilmLook

    return [FilmLook()]


@hookimpl
def wancore_solvers() -> Iterable[SolverSpec]:
    schedule = schedule_at("wancore.sampling.schedules:uniform")
    return [SolverSpec("ab2", "Adams-Bashforth, order 2", schedule, solver_at("film_look.solver:AB2"))]


@hookimpl
def wancore_commands(app: typer.Typer) -> None:
    app.command("learn-look")(learn_look)


def learn_look(
    model: Annotated[str, typer.Option(help="the text-to-video model that the look is for")],
    before: Annotated[str, typer.Option(help="a prompt without the mood: 'a street'")],
    after: Annotated[str, typer.Option(help="the same with it: 'a street in a melancholy film'")],
    out: Annotated[Path, typer.Option(help="NAME.safetensors to write")],
    models: Annotated[Path | None, typer.Option(help="folder of model files")] = None,
) -> None:
    """Learn a mood from the difference of two prompts; give the file to --attach film-look."""
    from film_look.learn import learn

    typer.echo(learn(model, before, after, out, models=models))
