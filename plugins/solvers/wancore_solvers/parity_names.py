"""ComfyUI-WanVideoWrapper's scheduler names, which the golden cases use, as names of our solvers."""

from __future__ import annotations

from dataclasses import dataclass

from wancore.sampling.builtin import SOLVERS as CORE_SOLVERS
from wancore.sampling.registry import find_solver
from wancore.sampling.solver import SolverSpec
from wancore_solvers.specs import SOLVERS

FULL_WIDTH = 5120  # of the 14B transformer


@dataclass(frozen=True)
class Counterpart:
    """Our solver for one of the wrapper's, and how the wrapper's tables differ from ours.

    `most_steps`: where ours refuses more steps, the wrapper takes this many. `open_end`: its table
    leaves out the 0 at the end. `angles`: it holds TrigFlow angles, and latents are TrigFlow's.
    """

    solver: str
    most_steps: int | None = None
    open_end: bool = False
    angles: bool = False

    @property
    def spec(self) -> SolverSpec:
        return find_solver(self.solver, (*CORE_SOLVERS, *SOLVERS))


COUNTERPARTS = {
    "unipc": Counterpart("wrapper-unipc"),
    "unipc/beta": Counterpart("wrapper-unipc-beta"),
    "dpm++": Counterpart("wrapper-dpm++"),
    "dpm++/beta": Counterpart("wrapper-dpm++-beta"),
    "dpm++_sde": Counterpart("wrapper-dpm++-sde"),
    "dpm++_sde/beta": Counterpart("wrapper-dpm++-sde-beta"),
    "euler": Counterpart("wrapper-euler"),
    "euler/beta": Counterpart("wrapper-euler-beta"),
    "lcm": Counterpart("wrapper-lcm"),
    "lcm/beta": Counterpart("wrapper-lcm-beta"),
    "deis": Counterpart("deis"),
    "res_multistep": Counterpart("res-multistep"),
    "er_sde": Counterpart("er-sde"),
    "sa_ode_stable": Counterpart("sa-ode"),
    "vibt_unipc": Counterpart("vibt"),
    "longcat_distill_euler": Counterpart("longcat-distill"),
    "flowmatch_causvid": Counterpart("causvid", most_steps=9),
    "flowmatch_distill": Counterpart("distill-4"),
    "flowmatch_pusa": Counterpart("euler", open_end=True),
    "multitalk": Counterpart("multitalk"),
    "rcm": Counterpart("wrapper-rcm", angles=True),
}
CAUSVID_NARROW = Counterpart("causvid-4")


def counterpart(scheduler: str, width: int = FULL_WIDTH) -> Counterpart:
    """`width` of the transformer decides which of CausVid's two schedules the wrapper means."""
    if scheduler == "flowmatch_causvid" and width != FULL_WIDTH:
        return CAUSVID_NARROW
    return COUNTERPARTS[scheduler]
