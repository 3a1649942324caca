"""The long tail of solvers and sigma schedules for wancore."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wancore.plugins import hookimpl

if TYPE_CHECKING:
    from wancore.parity.kind import Kind
    from wancore.sampling.solver import SolverSpec

WANCORE_API = (1, 1)


@hookimpl
def wancore_solvers() -> Iterable[SolverSpec]:
    from wancore_solvers.specs import SOLVERS

    return SOLVERS


@hookimpl
def wancore_parity() -> Iterable[Kind]:
    from wancore_solvers.parity import KINDS

    return KINDS
