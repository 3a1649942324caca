"""The core's solvers. `plugins/solvers` has the long tail, through the `wancore_solvers` hook."""

from __future__ import annotations

from wancore.sampling.lazy import schedule_at, solver_at
from wancore.sampling.solver import SolverSpec

SCHEDULES = "wancore.sampling.schedules"

SOLVERS: tuple[SolverSpec, ...] = (
    SolverSpec(
        "unipc",
        "UniPC, order 2: Wan's own default",
        schedule_at(f"{SCHEDULES}:unipc"),
        solver_at("wancore.sampling.unipc:UniPC"),
    ),
    SolverSpec(
        "dpm++",
        "DPM-Solver++ 2M: Wan's second solver",
        schedule_at(f"{SCHEDULES}:dpmpp"),
        solver_at("wancore.sampling.dpmpp:DPMPlusPlus2M"),
    ),
    SolverSpec(
        "euler",
        "Euler: for step-distilled LoRAs (4 steps, shift 5: 1, 0.9375, 0.8333, 0.625)",
        schedule_at(f"{SCHEDULES}:uniform"),
        solver_at("wancore.sampling.euler:Euler"),
    ),
    SolverSpec(
        "lcm",
        "latent consistency sampling: fresh noise at every step, for distilled LoRAs",
        schedule_at(f"{SCHEDULES}:uniform"),
        solver_at("wancore.sampling.lcm:LCM"),
    ),
)
