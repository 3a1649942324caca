"""Finding a solver by the name a user gives."""

from __future__ import annotations

from collections.abc import Iterable

from wancore.errors import InvalidInput, PluginError
from wancore.plugins.manager import PluginManager
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.solver import SolverSpec


def all_solvers(plugins: PluginManager) -> tuple[SolverSpec, ...]:
    """The core's solvers, then those of the plugins. Raises PluginError if two have one name."""
    owners = {spec.name: "the core" for spec in SOLVERS}
    specs = list(SOLVERS)
    for owner, spec in plugins.collect("wancore_solvers"):
        if spec.name in owners:
            raise PluginError(f"solver {spec.name!r} comes from both {owners[spec.name]} and {owner}")
        owners[spec.name] = owner
        specs.append(spec)
    return tuple(specs)


def find_solver(name: str, specs: Iterable[SolverSpec]) -> SolverSpec:
    """The solver called `name`; raises InvalidInput that lists the names there are."""
    by_name = {spec.name: spec for spec in specs}
    if name not in by_name:
        raise InvalidInput("solver", name, f"one of {', '.join(sorted(by_name))}")
    return by_name[name]
