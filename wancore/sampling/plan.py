"""From what a user asks for to the schedule of a run."""

from __future__ import annotations

from dataclasses import dataclass

from wancore.errors import InvalidInput
from wancore.sampling.schedules import explicit
from wancore.sampling.slicing import Place, dense_tail, part, strength_start
from wancore.sampling.solver import Schedule, SolverSpec


@dataclass(frozen=True)
class ScheduleRequest:
    """How a run goes from noise to a clean latent.

    `steps` >= 1 and `shift` > 0, unless `sigmas` lists the noise levels (falling, ending in 0).
    `start`, `end`: the steps of the schedule that are run (see `slicing.part`).
    `strength` 0..1: how much of a given latent is regenerated; below 1 it decides the start.
    `dense_tail`: more steps at low noise (see `slicing.dense_tail`).
    """

    steps: int
    shift: float
    sigmas: tuple[float, ...] | None = None
    start: Place = 0
    end: Place | None = None
    strength: float = 1.0
    dense_tail: bool = False


def plan(spec: SolverSpec, request: ScheduleRequest) -> Schedule:
    """The schedule of the run. Raises InvalidInput that names the field that cannot be accepted."""
    whole = levels(spec, request)
    start = request.start
    if request.strength != 1:
        if start != 0:
            raise InvalidInput("start_step", start, "0 when strength is below 1, which decides the start")
        start = strength_start(len(whole), request.strength)
    return part(dense_tail(whole) if request.dense_tail else whole, start, request.end)


def levels(spec: SolverSpec, request: ScheduleRequest) -> Schedule:
    if request.sigmas is None:
        return spec.schedule(request.steps, request.shift)
    if not spec.free_levels:
        raise InvalidInput("sigmas", list(request.sigmas), f"none: {spec.name} has noise levels of its own")
    return explicit(request.sigmas)
