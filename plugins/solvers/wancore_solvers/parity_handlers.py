"""Golden cases of the wrapper's schedules and solvers (`_schedulers`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from wancore.parity.case import Case
from wancore.sampling.loop import step_of
from wancore.sampling.masked import DifferentialMask, DualClock
from wancore.sampling.parity_trajectory import RecordedNoise, trajectory, wave_model
from wancore.sampling.plan import ScheduleRequest, plan
from wancore.sampling.slicing import part
from wancore.sampling.solver import Schedule
from wancore.sampling.start import StartFrom
from wancore_solvers import rcm
from wancore_solvers.parity_names import FULL_WIDTH, Counterpart, counterpart
from wancore_solvers.pusa import PusaFrames, PusaNoise

Outputs = dict[str, Tensor]
Run = Mapping[str, Any]


def schedule_tables(case: Case) -> Outputs:
    outputs: Outputs = {}
    for n, table in enumerate(case.config["tables"]):
        outputs |= shown(str(n), counterpart_of(table), planned(table), table)
    return outputs


def trajectories(case: Case) -> Outputs:
    outputs: Outputs = {}
    for run in case.config["runs"]:
        ours, schedule, name = counterpart_of(run), planned(run), run["id"]
        made = trajectory(
            case, ours.spec, schedule, [StartFrom(case.inputs["init"])] if "denoise" in run else []
        )
        latents = made.latents
        if ours.angles:
            latents = latents * rcm.trig_scale(schedule.sigmas).view(-1, *[1] * (latents.ndim - 1))
        outputs |= shown(name, ours, schedule, run)
        outputs[f"{name}.latents"] = latents
        outputs[f"{name}.noise_used"] = torch.tensor([made.noise_used], dtype=torch.int32)
    return outputs


def multitalk_euler(case: Case) -> Outputs:
    """The timesteps of the case end with the 0 after the last step."""
    ours = counterpart("multitalk")
    outputs: Outputs = {}
    for run in case.config["runs"]:
        schedule = plan(ours.spec, ScheduleRequest(run["steps"], run["shift"]))
        outputs[f"{run['id']}.timesteps"] = torch.cat([schedule.timesteps, torch.zeros(1)])
        outputs[f"{run['id']}.latents"] = trajectory(case, ours.spec, schedule).latents
    return outputs


def rcm_upstream(case: Case) -> Outputs:
    spec = counterpart("rcm").spec
    outputs: Outputs = {}
    for run in case.config["runs"]:
        schedule = rcm.from_angles(run["steps"], run["sigma_max"])
        outputs[f"{run['id']}.sigmas"] = schedule.sigmas
        outputs[f"{run['id']}.latents"] = trajectory(case, spec, schedule).latents
    return outputs


def pusa_per_frame(case: Case) -> Outputs:
    """Latents of the case are those after a step, before frames are noised for the next one."""
    outputs: Outputs = {}
    model, start = wave_model(case.inputs["bias"]), case.inputs["start"]
    spec = counterpart("flowmatch_pusa").spec
    for run in case.config["runs"]:
        schedule = plan(spec, ScheduleRequest(run["steps"], run["shift"]))
        frames = run["clean"]
        multipliers = dict(zip(frames, run.get("multipliers", [0.0] * len(frames)), strict=True))
        solver, hooks = PusaFrames(schedule, start.shape[-3], multipliers), PusaNoise(multipliers)
        draw = RecordedNoise(case)
        steps = [step_of(schedule, i, start) for i in range(len(schedule))]
        x, latents = hooks.start(start, draw, steps[0]), [start]
        for step in steps:
            velocity = model(x, solver.rows.timesteps[step.index, :, None, None])
            latents.append(solver.step(step.index, x, velocity, draw))
            x = hooks.after_step(latents[-1], draw, step)
        outputs[f"{run['id']}.latents"] = torch.stack(latents)
    return outputs


def ttm(case: Case) -> Outputs:
    """The wrapper noises the reference to timestep / 1000."""
    outputs: Outputs = {}
    for run in case.config["runs"]:
        spec, first = counterpart(run["scheduler"]).spec, run["ttm_start"]
        schedule = part(plan(spec, ScheduleRequest(run["steps"], run["shift"])), first)
        clock = DualClock(
            case.inputs["reference"],
            case.inputs["mask"],
            until=run["ttm_end"] - first,
            levels=(*(schedule.timesteps / 1000).tolist(), 0.0),
            from_reference=run["ttm_end"] > first,
        )
        outputs[f"{run['id']}.latents"] = trajectory(case, spec, schedule, [clock]).latents
    return outputs


def differential(case: Case) -> Outputs:
    mask = DifferentialMask(case.inputs["original"], case.inputs["mask"])
    outputs: Outputs = {}
    for run in case.config["runs"]:
        spec = counterpart(run["scheduler"]).spec
        schedule = plan(spec, ScheduleRequest(run["steps"], run["shift"]))
        outputs[f"{run['id']}.latents"] = trajectory(case, spec, schedule, [mask]).latents
    return outputs


def counterpart_of(run: Run) -> Counterpart:
    return counterpart(run["scheduler"], run.get("dim", FULL_WIDTH))


def planned(run: Run) -> Schedule:
    """The schedule of a case's run, from the wrapper's options."""
    ours = counterpart_of(run)
    sigmas, end = run.get("custom_sigmas"), run.get("end_step", -1)
    request = ScheduleRequest(
        steps=min(run["steps"], ours.most_steps or run["steps"]),
        shift=run["shift"],
        sigmas=None if sigmas is None else tuple(sigmas),
        start=run.get("start_step", 0),
        end=None if end == -1 else end,
        strength=run.get("denoise", 1.0),
        dense_tail=run.get("enhance_hf", False),
    )
    return plan(ours.spec, request)


def shown(name: str, ours: Counterpart, schedule: Schedule, run: Run) -> Outputs:
    """The schedule as the wrapper's tables hold it."""
    sigmas, timesteps = schedule.sigmas, schedule.timesteps.float()
    if ours.angles:
        sigmas = rcm.angles(sigmas)
        timesteps = sigmas[:-1]
    own_levels = "custom_sigmas" not in run and not run.get("enhance_hf", False)
    if ours.open_end and own_levels and sigmas[-1] == 0:
        sigmas = sigmas[:-1]
    return {f"{name}.sigmas": sigmas, f"{name}.timesteps": timesteps}
