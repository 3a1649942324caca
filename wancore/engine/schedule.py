"""When a request's steps are, and which frames each of them sees at once."""

from __future__ import annotations

from dataclasses import replace

from wancore.engine.plan import Plan, told_of
from wancore.errors import InvalidInput
from wancore.plugins.family import Lead
from wancore.request import Request
from wancore.sampling.plan import ScheduleRequest
from wancore.sampling.plan import plan as plan_schedule
from wancore.sampling.solver import Schedule, SolverSpec
from wancore.sampling.windows import WindowPlan


def schedule_of(solver: SolverSpec, lead: Lead, plan: Plan) -> Schedule:
    """The steps that are run. Raises `InvalidInput` for levels or a beginning that the schedule has not."""
    asked = ScheduleRequest(lead.steps, lead.shift, plan.request.sigmas)
    schedule = plan_schedule(solver, asked)
    if plan.begin is None:
        return schedule
    family, begin = plan.begin
    with told_of(family, plan.family):
        try:
            return plan_schedule(solver, replace(asked, start=begin.step, strength=begin.strength))
        except InvalidInput as error:
            raise InvalidInput(begin.field, error.value, error.accepted) from error


def overlap_plan(request: Request, frames: int, steps: int, stride: int) -> WindowPlan | None:
    """The request's overlapping windows over `frames` pixel frames, or None.

    Raises `InvalidInput` where a step's windows do not fit the clip.
    """
    chosen = request.windows
    if chosen is None:
        return None
    windows = WindowPlan.of_pixel_frames(
        chosen.schedule, chosen.frames, chosen.overlap, chosen.stride, chosen.fuse, stride
    )
    for step in range(steps):
        windows.at(step, 1 + (frames - 1) // stride)
    return windows
