"""Latent shift (Mobius, arXiv:2502.20307): seamless loops, by rotating the clip in time between steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from wancore.sampling.guidance import within
from wancore.sampling.hooks import Step
from wancore.sampling.method import Method, Run
from wancore_guidance.parameters import LatentShiftParameters


class LatentShift(Method):
    """The model sees the clip rotated by `skip` frames more at each step; its prediction is rotated back."""

    def __init__(self, parameters: LatentShiftParameters, run: Run) -> None:
        self.parameters = parameters
        self.frames, self.head = run.frames, run.head

    def around_velocity(self, predict: Callable[[Tensor], Tensor], x: Tensor, step: Step) -> Tensor:
        if not self._acts(step):
            return predict(x)
        earlier = sum(self._acts(replace(step, index=i)) for i in range(step.index))
        shift = earlier * self.parameters.skip % self.frames
        return self._rotated(predict(self._rotated(x, -shift)), shift)

    def _acts(self, step: Step) -> bool:
        return within(step, self.parameters.start, self.parameters.end)

    def _rotated(self, x: Tensor, by: int) -> Tensor:
        clip = slice(self.head, self.head + self.frames)
        rotated = x.clone()
        rotated[:, clip] = x[:, clip].roll(by, dims=1)
        return rotated
