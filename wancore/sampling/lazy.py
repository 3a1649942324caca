"""Declaring solvers without importing torch: the code is imported when it is first used."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from wancore.sampling.solver import MakeSchedule, MakeSolver, Schedule, Solver


def schedule_at(path: str) -> MakeSchedule:
    """The function `"package.module:function"` of (steps, shift), imported on its first call."""

    def schedule(steps: int, shift: float) -> Schedule:
        return named(path)(steps, shift)

    return schedule


def solver_at(path: str) -> MakeSolver:
    """The class or function `"package.module:Name"` of a schedule, imported on its first call."""

    def make(schedule: Schedule) -> Solver:
        return named(path)(schedule)

    return make


@cache
def named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
