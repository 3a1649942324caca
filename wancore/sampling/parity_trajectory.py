"""What the golden trajectories have in common: a model that needs no weights, and recorded noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.parity.case import Case
from wancore.sampling.hooks import Hooks, NoHooks, Step
from wancore.sampling.loop import denoise
from wancore.sampling.solver import Draw, Schedule, SolverSpec

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


class RecordedStart(NoHooks):
    """Keeps the latent that a run starts from."""

    def __init__(self) -> None:
        self.latents: list[Tensor] = []

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        self.latents.append(x)
        return x


@dataclass(frozen=True)
class Trajectory:
    """A run's latents [n + 1, ...], before each step and after the last, and how many draws it took."""

    latents: Tensor
    noise_used: int


def trajectory(case: Case, spec: SolverSpec, schedule: Schedule, hooks: Sequence[Hooks] = ()) -> Trajectory:
    """A run on the case's model, with `in.start` as the initial noise."""
    model, draw, first = wave_model(case.inputs["bias"]), RecordedNoise(case), RecordedStart()

    def velocity(x: Tensor, step: Step) -> Tensor:
        return model(x, torch.tensor(step.timestep))

    steps = denoise(case.inputs["start"], schedule, spec.make(schedule), velocity, draw, [*hooks, first])
    after = [stepped.x for stepped in steps]
    return Trajectory(torch.stack([*first.latents, *after]), draw.used)
