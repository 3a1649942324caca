"""The bridge sampler of ViBT (vision bridge transformer): Brownian-bridge steps in the model's integer time.

The wrapper calls it `vibt_unipc`; apart from the noise levels it has nothing of UniPC.
"""

from __future__ import annotations

from torch import Tensor

from wancore.sampling.noise import noise_like
from wancore.sampling.solver import Draw, Schedule

ENDED = -1.0  # the timestep after the last one


class Vibt:
    """x += D v + sqrt(-D (c + D) / c) z, with c = (T + 1) / 1000 and D the change of T / 1000.

    One draw z per step. The last step of a run that ends at level 0 goes to T = -1, where z has no weight.
    """

    def __init__(self, schedule: Schedule) -> None:
        shown: list[float] = schedule.timesteps.tolist()
        end = float(schedule.sigmas[-1])
        after = float(int(end * 1000)) if end > 0 else ENDED
        self.now = shown
        self.next = [max((t for t in shown if t < now), default=after) for now in shown]

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        now, following = self.now[i], self.next[i]
        width = (following - now) / 1000
        spread = (-width * (following + 1) / (now + 1)) ** 0.5
        return x + width * velocity + spread * noise_like(x, draw)
