"""When a request's steps are, and which frames each of them sees at once."""

from __future__ import annotations

from wancore.plugins.family import Lead
from wancore.request import Request
from wancore.sampling.plan import ScheduleRequest
from wancore.sampling.plan import plan as plan_schedule
from wancore.sampling.solver import Schedule, SolverSpec
from wancore.sampling.windows import WindowPlan


def schedule_of(solver: SolverSpec, lead: Lead, request: Request) -> Schedule:
    return plan_schedule(solver, ScheduleRequest(lead.steps, lead.shift, request.sigmas))


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
