"""Everything a plugin can add: one hook, one kind of thing.

Hooks run when plugins are loaded or once per request, never inside the denoising loop.
docs/hooks.md has a complete example of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from wancore.embedded import EmbeddedModel
    from wancore.kernels.attention import Backend
    from wancore.parity.kind import Kind
    from wancore.plugins.family import Family
    from wancore.sampling.method import MethodSpec
    from wancore.sampling.solver import SolverSpec

#: Version of the plugin interface. A plugin module states the range it supports: `WANCORE_API = (1, 1)`.
API = 1

hookspec = pluggy.HookspecMarker("wancore")
hookimpl = pluggy.HookimplMarker("wancore")


@hookspec
def wancore_families() -> Iterable[Family]:
    """Model families: how to recognise their checkpoints and turn a user's inputs into conditioning."""
    raise NotImplementedError


@hookspec
def wancore_solvers() -> Iterable[SolverSpec]:
    """Solvers and sigma schedules, by the name a user gives to `--solver`."""
    raise NotImplementedError


@hookspec
def wancore_methods() -> Iterable[MethodSpec]:
    """Sampling methods (guidance variants, step caches, rotary tricks), by the name given to `--method`."""
    raise NotImplementedError


@hookspec
def wancore_models() -> Iterable[EmbeddedModel]:
    """Small models that come with the plugin: each is used by requests of its family that name none."""
    raise NotImplementedError


@hookspec
def wancore_attention() -> Iterable[Backend]:
    """Attention backends, by the name given to `--attention`."""
    raise NotImplementedError


@hookspec
def wancore_parity() -> Iterable[Kind]:
    """Golden-case kinds that this distribution's code reproduces."""
    raise NotImplementedError


@hookspec
def wancore_commands(app: typer.Typer) -> None:
    """Adds commands to the `wancore` command line."""
