"""What the golden trajectories have in common: a model that needs no weights, and recorded noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.parity.case import Case
from wancore.sampling.hooks import Hooks, NoHooks, Step
from wancore.sampling.solver import Schedule, Solver, SolverSpec

Model = Callable[[Tensor, Tensor], Tensor]


def wave_model(bias: Tensor) -> Model:
    """The cases' velocity, v(x, t) = 0.7 cos(0.002 t) x + 0.3 sin(1.7 x + 0.01 t) + bias.

    `t`, 0..1000, is one number or broadcasts to x.
    """

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        t = t.to(torch.float32)
        return 0.7 * torch.cos(0.002 * t) * x + 0.3 * torch.sin(1.7 * x + 0.01 * t) + bias

    return velocity


class RecordedNoise:
    """Hands out the recorded draws of a case, `in.noise` [draws, ...], in order, and counts them."""

    def __init__(self, case: Case) -> None:
        self.draws = case.inputs.get("noise", torch.empty(0))
        self.used = 0

    def __call__(self, shape: torch.Size, /) -> Tensor:
        self.used += 1
        return self.draws[self.used - 1].reshape(shape)


@dataclass(frozen=True)
class Trajectory:
    """A run's latents [n + 1, ...], before each step and after the last, and how many draws it took."""

    latents: Tensor
    noise_used: int


def trajectory(
    case: Case,
    spec: SolverSpec,
    schedule: Schedule,
    start: Tensor,
    hooks: Hooks | None = None,
) -> Trajectory:
    """A run from `start` on the case's model. Hooks see `in.start` as the run's initial noise."""
    solver: Solver = spec.make(schedule)
    model, draw, hooks = wave_model(case.inputs["bias"]), RecordedNoise(case), hooks or NoHooks()
    steps = steps_of(schedule, case.inputs["start"])
    latents = [hooks.start(start, draw, steps[0])]
    for step, timestep in zip(steps, schedule.timesteps, strict=True):
        x = latents[-1]
        velocity = model(hooks.model_input(x, draw, step), timestep)
        latents.append(hooks.after_step(solver.step(step.index, x, velocity, draw), draw, step))
    return Trajectory(torch.stack(latents), draw.used)


def steps_of(schedule: Schedule, noise: Tensor) -> list[Step]:
    sigmas, timesteps = schedule.sigmas.tolist(), schedule.timesteps.tolist()
    return [
        Step(i, len(schedule), sigmas[i], sigmas[i + 1], float(timesteps[i]), noise)
        for i in range(len(schedule))
    ]
