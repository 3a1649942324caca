"""Golden cases of the canonical schedules and solvers (`_schedulers`)."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.parity.case import Case
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.parity_trajectory import trajectory
from wancore.sampling.plan import ScheduleRequest, plan
from wancore.sampling.registry import find_solver
from wancore.sampling.schedules import listed
from wancore.sampling.slicing import high_noise

Outputs = dict[str, Tensor]


def upstream_tables(case: Case) -> Outputs:
    """The schedules of the original Wan code; our names are its names."""
    outputs: Outputs = {}
    for n, table in enumerate(case.config["tables"]):
        spec = find_solver(table["scheduler"], SOLVERS)
        schedule = plan(spec, ScheduleRequest(table["steps"], table["shift"]))
        outputs[f"{n}.sigmas"], outputs[f"{n}.timesteps"] = schedule.sigmas, schedule.timesteps.float()
    return outputs


def upstream_trajectories(case: Case) -> Outputs:
    """Whole runs of the original Wan solvers."""
    outputs: Outputs = {}
    for run in case.config["runs"]:
        spec, name = find_solver(run["scheduler"], SOLVERS), run["id"]
        schedule = plan(spec, ScheduleRequest(run["steps"], run["shift"]))
        outputs[f"{name}.sigmas"], outputs[f"{name}.timesteps"] = schedule.sigmas, schedule.timesteps.float()
        outputs[f"{name}.latents"] = trajectory(case, spec, schedule).latents
    return outputs


def wan22_boundary(case: Case) -> Outputs:
    """Which steps the high-noise expert takes."""
    outputs: Outputs = {}
    for n, table in enumerate(case.config["tables"]):
        spec = find_solver(table["scheduler"], SOLVERS)
        schedule = plan(spec, ScheduleRequest(table["steps"], table["shift"]))
        outputs[f"{n}.timesteps"] = schedule.timesteps.float()
        outputs[f"{n}.high"] = high_noise(schedule, table["boundary"]).to(torch.int32)
    return outputs


def lightx2v_tables(case: Case) -> Outputs:
    """The schedules of step-distilled LoRAs, from their lists of training timesteps."""
    outputs: Outputs = {}
    for n, table in enumerate(case.config["tables"]):
        schedule = listed(table["denoising_step_list"], table["shift"])
        outputs[f"{n}.sigmas"], outputs[f"{n}.timesteps"] = schedule.sigmas, schedule.timesteps.float()
    return outputs
