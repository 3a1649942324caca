"""Where in its schedule a run begins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Begin:
    """A run that begins behind its first steps, at a latent that a hook's `start` gives (SDEdit).

    `step`: the first step that is run, counted from 0, or a noise level, 0..1: the first step that is not
    above it. `strength`, 0..1: the share of the steps that is run, about; below 1 it decides the step.
    `field`: what the user calls either, for errors.
    """

    step: int | float = 0
    strength: float = 1.0
    field: str = "start_step"
