"""The solvers of this distribution, by name. Nothing here imports torch or scipy."""

from __future__ import annotations

from wancore.sampling.lazy import schedule_at, solver_at
from wancore.sampling.solver import MakeSchedule, MakeSolver, SolverSpec

UNIPC = solver_at("wancore.sampling.unipc:UniPC")
DPMPP = solver_at("wancore.sampling.dpmpp:DPMPlusPlus2M")
DPMPP_SDE = solver_at("wancore_solvers.dpmpp_sde:DPMPlusPlus2MSDE")
EULER = solver_at("wancore.sampling.euler:Euler")
LCM = solver_at("wancore.sampling.lcm:LCM")
RCM = solver_at("wancore_solvers.rcm:consistency")
RES_MULTISTEP = solver_at("wancore_solvers.res_multistep:ResMultistep")

CORE_DPMPP = schedule_at("wancore.sampling.schedules:dpmpp")
WRAPPER_FLOW = schedule_at("wancore_solvers.wrapper:flow")
WRAPPER_BETA = schedule_at("wancore_solvers.wrapper:flow_beta")
DIFFUSERS_EULER = schedule_at("wancore.sampling.diffusers_schedules:flow_euler")
DIFFUSERS_EULER_BETA = schedule_at("wancore_solvers.wrapper:euler_beta")
TRAINING_GRID = schedule_at("wancore_solvers.res_multistep:training_grid")


def own(module: str, schedule: str, solver: str) -> tuple[MakeSchedule, MakeSolver]:
    """A schedule and a solver that live in one module of this package."""
    return schedule_at(f"wancore_solvers.{module}:{schedule}"), solver_at(
        f"wancore_solvers.{module}:{solver}"
    )


def beta(schedule: str) -> MakeSchedule:
    return schedule_at(f"wancore_solvers.beta:{schedule}")


def distilled(schedule: str) -> MakeSchedule:
    return schedule_at(f"wancore_solvers.distilled:{schedule}")


CANONICAL = (
    SolverSpec("unipc-beta", "UniPC, levels crowded at both ends", beta("unipc"), UNIPC),
    SolverSpec("dpm++-beta", "DPM-Solver++ 2M, levels crowded at both ends", beta("dpmpp"), DPMPP),
    SolverSpec("dpm++-sde", "DPM-Solver++ 2M with fresh noise at every step", CORE_DPMPP, DPMPP_SDE),
    SolverSpec("dpm++-sde-beta", "dpm++-sde, levels crowded at both ends", beta("dpmpp"), DPMPP_SDE),
    SolverSpec("euler-beta", "Euler, levels crowded at both ends", beta("uniform"), EULER),
    SolverSpec("lcm-beta", "latent consistency sampling, levels crowded at both ends", beta("uniform"), LCM),
    SolverSpec("deis", "DEIS, order 2, exponential in the noise ratio", *own("deis", "flow", "Deis")),
    SolverSpec("res-multistep", "RES 2M: second-order exponential multistep", TRAINING_GRID, RES_MULTISTEP),
    SolverSpec(
        "er-sde",
        "ER-SDE-Solver-3: third order, fresh noise at every step",
        TRAINING_GRID,
        solver_at("wancore_solvers.er_sde:ErSde"),
    ),
    SolverSpec("sa-ode", "Adams-Bashforth with a stabilised end", *own("sa_ode", "stable", "SaOdeStable")),
)

DISTILLED = (
    SolverSpec("causvid", "CausVid-14B's own 1 to 9 levels", distilled("causvid"), EULER, free_levels=False),
    SolverSpec("causvid-4", "CausVid-1.3B's own 4 levels", distilled("causvid_4"), EULER, free_levels=False),
    SolverSpec("distill-4", "4 levels from 0.999, shifted", distilled("distill_4"), EULER, free_levels=False),
    SolverSpec("longcat-distill", "1 to 50 of LongCat-Video's distilled levels", distilled("longcat"), EULER),
    SolverSpec("multitalk", "MultiTalk's and InfiniteTalk's Euler", distilled("multitalk"), EULER),
    SolverSpec(
        "rcm", "rCM, text to video, 1 to 4 steps", schedule_at("wancore_solvers.rcm:text_to_video"), RCM
    ),
    SolverSpec(
        "rcm-i2v", "rCM, image to video, 1 to 4 steps", schedule_at("wancore_solvers.rcm:image_to_video"), RCM
    ),
    SolverSpec(
        "vibt",
        "ViBT's bridge sampler",
        schedule_at("wancore.sampling.diffusers_schedules:flow_unipc"),
        solver_at("wancore_solvers.vibt:Vibt"),
    ),
)

COMPATIBLE = (
    SolverSpec("wrapper-unipc", "unipc with ComfyUI-WanVideoWrapper's levels", WRAPPER_FLOW, UNIPC),
    SolverSpec("wrapper-unipc-beta", "unipc-beta with the wrapper's levels", WRAPPER_BETA, UNIPC),
    SolverSpec("wrapper-dpm++", "dpm++ with the wrapper's levels", WRAPPER_FLOW, DPMPP),
    SolverSpec("wrapper-dpm++-beta", "dpm++-beta with the wrapper's levels", WRAPPER_BETA, DPMPP),
    SolverSpec("wrapper-dpm++-sde", "dpm++-sde with the wrapper's levels", WRAPPER_FLOW, DPMPP_SDE),
    SolverSpec("wrapper-dpm++-sde-beta", "dpm++-sde-beta with the wrapper's levels", WRAPPER_BETA, DPMPP_SDE),
    SolverSpec("wrapper-euler", "euler with the wrapper's (diffusers') levels", DIFFUSERS_EULER, EULER),
    SolverSpec("wrapper-euler-beta", "euler-beta with the wrapper's levels", DIFFUSERS_EULER_BETA, EULER),
    SolverSpec("wrapper-lcm", "lcm with the wrapper's levels", DIFFUSERS_EULER, LCM),
    SolverSpec("wrapper-lcm-beta", "lcm-beta with the wrapper's levels", DIFFUSERS_EULER_BETA, LCM),
    SolverSpec(
        "wrapper-rcm", "rcm from the wrapper's first level", schedule_at("wancore_solvers.rcm:wrapper"), RCM
    ),
)

SOLVERS: tuple[SolverSpec, ...] = (*CANONICAL, *DISTILLED, *COMPATIBLE)
