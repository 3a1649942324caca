"""Pusa: a noise level per latent frame, so that given frames stay, or stay almost, as they are.

As ComfyUI-WanVideoWrapper (`flowmatch_pusa.py`, Apache-2.0) runs it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from wancore.errors import InvalidInput
from wancore.sampling.frames import FRAMES, FrameRows
from wancore.sampling.hooks import NoHooks, Step
from wancore.sampling.noise import noised
from wancore.sampling.solver import Draw, Schedule


class PusaFrames:
    """Euler's method with a timestep per latent frame.

    `multipliers`: latent frame -> m, 0..1, for the given frames. The model is shown m times the
    running timestep for it; it moves along m times the pair of levels whose timestep is nearest to
    that. m = 0 leaves the frame alone. Other frames run on `schedule`. Raises InvalidInput for a
    frame that is not there or another m.
    """

    def __init__(self, schedule: Schedule, frames: int, multipliers: Mapping[int, float]) -> None:
        scale = torch.ones(frames)
        for frame, multiplier in multipliers.items():
            if not (0 <= frame < frames and 0 <= multiplier <= 1):
                accepted = f"numbers in 0..1 for latent frames in 0..{frames - 1}"
                raise InvalidInput("multipliers", dict(multipliers), accepted)
            scale[frame] = multiplier
        base = schedule.timesteps.to(torch.float32)
        timesteps = base[:, None] * scale  # [n, F]
        nearest = (base - timesteps[..., None]).abs().argmin(-1)
        self.widths = scale * schedule.sigmas.diff()[nearest]  # [n, F]
        whole = (0, frames)
        self.rows = FrameRows(timesteps, timesteps > 0, (whole,) * len(schedule))

    def step(self, i: int, x: Tensor, velocity: Tensor, draw: Draw) -> Tensor:
        """`x`, `velocity` [..., F, h, w]."""
        return x + self.widths[i, :, None, None].to(x.device) * velocity


class PusaNoise(NoHooks):
    """Noises the given frames anew before every model call: x = (1 - sigma m) x + sigma m z.

    Frames are noised in the order of `multipliers`, those with m = 0 not at all. Each takes a draw of
    the whole latent's shape, of which it uses its own frame.
    """

    def __init__(self, multipliers: Mapping[int, float]) -> None:
        self.multipliers = multipliers

    def start(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return self._renoised(x, draw, step.sigma)

    def after_step(self, x: Tensor, draw: Draw, step: Step) -> Tensor:
        return x if step.index == step.count - 1 else self._renoised(x, draw, step.next_sigma)

    def _renoised(self, x: Tensor, draw: Draw, sigma: float) -> Tensor:
        frames = list(x.unbind(FRAMES))
        for frame, multiplier in self.multipliers.items():
            if multiplier > 0:
                noise = draw(x.shape).to(x).select(FRAMES, frame)
                frames[frame] = noised(frames[frame], noise, sigma * multiplier)
        return torch.stack(frames, dim=FRAMES)
