"""Noise levels spaced by the beta distribution (Lee et al., 2024, arXiv:2407.12173)."""

from __future__ import annotations

import numpy as np

from wancore.sampling.schedules import Levels, Shown, schedule_of, uniform_levels, unipc_levels
from wancore.sampling.solver import Schedule

SHAPE = 0.6  # both parameters of the distribution: levels crowd at the two ends


def beta_spaced(levels: Levels) -> Levels:
    """As many levels from the first to the last of `levels`, spaced by the quantiles of Beta(0.6, 0.6)."""
    from scipy.stats import beta

    quantiles = beta.ppf(1 - np.linspace(0, 1, len(levels)), SHAPE, SHAPE)
    return levels[-1] + quantiles * (levels[0] - levels[-1])


def beta_schedule(levels: Levels, shown: Shown) -> Schedule:
    return schedule_of(beta_spaced(levels), shown)


def unipc(steps: int, shift: float) -> Schedule:
    return beta_schedule(unipc_levels(steps, shift), "integer")


def dpmpp(steps: int, shift: float) -> Schedule:
    return beta_schedule(uniform_levels(steps, shift), "integer")


def uniform(steps: int, shift: float) -> Schedule:
    return beta_schedule(uniform_levels(steps, shift), "float")
