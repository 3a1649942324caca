"""rCM (NVlabs/rcm, Apache-2.0): consistency sampling at the TrigFlow angles its models were distilled at.

TrigFlow keeps z = cos(a) x0 + sin(a) noise; divided by cos(a) + sin(a) it is the flow's latent at
sigma = sin(a) / (cos(a) + sin(a)), which is what our models and solvers work on.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from wancore.sampling.lcm import LCM
from wancore.sampling.schedules import checked_steps, schedule_of
from wancore.sampling.solver import Schedule

LATER_ANGLES = (1.5, 1.4, 1.0)


def text_to_video(steps: int, shift: float) -> Schedule:
    """1 to 4 steps from tan(a) = 80; the start is the noise times the first level. Not shifted."""
    return from_angles(steps, sigma_max=80.0)


def image_to_video(steps: int, shift: float) -> Schedule:
    """The same from tan(a) = 200."""
    return from_angles(steps, sigma_max=200.0)


def wrapper(steps: int, shift: float) -> Schedule:
    """The same from tan(a) = 120, starting from z = noise, as ComfyUI-WanVideoWrapper runs it."""
    return from_angles(steps, sigma_max=120.0, noise_is_latent=True)


def from_angles(steps: int, sigma_max: float, noise_is_latent: bool = False) -> Schedule:
    """`sigma_max` is the tangent of the first angle. `noise_is_latent`: z = noise there, not sin(a) noise."""
    angles = np.array([math.atan(sigma_max), *LATER_ANGLES])[: checked_steps(steps, 1 + len(LATER_ANGLES))]
    total = np.cos(angles) + np.sin(angles)
    levels = np.sin(angles) / total
    made = schedule_of(levels, "float")
    scale = 1 / total[0] if noise_is_latent else levels[0]
    return Schedule(made.sigmas, made.timesteps, noise_scale=float(scale))


def consistency(schedule: Schedule) -> LCM:
    return LCM(schedule, draw_last=False)


def angles(sigmas: Tensor) -> Tensor:
    """The TrigFlow angles, 0..pi/2, of noise levels 0..1."""
    return sigmas.atan2(1 - sigmas)


def trig_scale(sigmas: Tensor) -> Tensor:
    """cos(a) + sin(a): what the flow's latent is multiplied by to be TrigFlow's."""
    return 1 / sigmas.hypot(1 - sigmas)
