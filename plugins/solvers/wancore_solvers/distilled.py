"""Fixed noise levels that step-distilled models were trained for.

CausVid (Yin et al., 2024, arXiv:2412.07772) and self-forcing style distillations as
ComfyUI-WanVideoWrapper runs them; LongCat-Video's distilled LoRA; MultiTalk's own Euler loop.
"""

from __future__ import annotations

import numpy as np
import torch

from wancore.errors import InvalidInput
from wancore.sampling.schedules import checked_steps, listed, schedule_of, shifted
from wancore.sampling.solver import Schedule

CAUSVID = (999, 934, 862, 756, 603, 410, 250, 140, 74)  # 14B
CAUSVID_4 = (1000, 750, 500, 250)  # 1.3B
DISTILL_4 = (999, 750, 500, 250)
LONGCAT_POINTS = 50


def causvid(steps: int, shift: float) -> Schedule:
    """The first `steps` of CausVid-14B's nine levels; not shifted."""
    return listed(CAUSVID[: checked_steps(steps, len(CAUSVID))], shift=1.0)


def causvid_4(steps: int, shift: float) -> Schedule:
    """CausVid-1.3B's four levels; not shifted."""
    return listed(exactly(steps, CAUSVID_4), shift=1.0)


def distill_4(steps: int, shift: float) -> Schedule:
    """Four levels from 0.999, shifted."""
    return listed(exactly(steps, DISTILL_4), shift)


def exactly(steps: int, timesteps: tuple[int, ...]) -> tuple[int, ...]:
    if steps != len(timesteps):
        raise InvalidInput(
            "steps", steps, f"{len(timesteps)}, the number of steps the model was distilled to"
        )
    return timesteps


def longcat(steps: int, shift: float) -> Schedule:
    """`steps` of the 50 levels 1, 0.98 .. 0.02 that LongCat-Video was distilled on, shifted."""
    checked_steps(steps, LONGCAT_POINTS)
    grid = 1 - np.arange(LONGCAT_POINTS) / LONGCAT_POINTS
    # Spaced in float32, as released: an index that is a whole number may come out one lower.
    chosen = torch.linspace(0, LONGCAT_POINTS, steps + 1)[:-1].floor().long().numpy()
    return schedule_of(shifted(grid[chosen], shift), "float")


def multitalk(steps: int, shift: float) -> Schedule:
    """`steps` points from timestep 1000 to 1, both included, shifted."""
    return listed(np.linspace(1000, 1, checked_steps(steps)).tolist(), shift)
