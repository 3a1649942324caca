"""The denoising loop: solver steps, with the request's hooks around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from wancore.sampling.hooks import Hooks, Step
from wancore.sampling.solver import Draw, Schedule, Solver

#: Guided velocity at x [C, F, h, w].
Velocity = Callable[[Tensor, Step], Tensor]


@dataclass(frozen=True)
class Stepped:
    """A finished step: the latent to go on from, and the model's clean estimate behind it."""

    step: Step
    x: Tensor
    estimate: Tensor


def denoise(
    noise: Tensor,
    schedule: Schedule,
    solver: Solver,
    velocity: Velocity,
    draw: Draw,
    hooks: Sequence[Hooks] = (),
) -> Iterator[Stepped]:
    """Takes every step of `schedule` from `noise` [C, F, h, w] float32; yields after each.

    Hooks act in the order given, outside the solver, whose history they never touch.
    """
    x = noise * schedule.noise_scale
    for i in range(len(schedule)):
        step = step_of(schedule, i, noise)
        if i == 0:
            for hook in hooks:
                x = hook.start(x, draw, step)
        seen = x
        for hook in hooks:
            seen = hook.model_input(seen, draw, step)
        v = velocity(seen, step)
        estimate = seen - step.sigma * v
        x = solver.step(i, x, v, draw)
        for hook in hooks:
            x = hook.after_step(x, draw, step)
        yield Stepped(step, x, estimate)


def step_of(schedule: Schedule, i: int, noise: Tensor) -> Step:
    return Step(
        index=i,
        count=len(schedule),
        sigma=float(schedule.sigmas[i]),
        next_sigma=float(schedule.sigmas[i + 1]),
        timestep=float(schedule.timesteps[i]),
        noise=noise,
    )
