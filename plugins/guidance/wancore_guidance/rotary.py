"""Changes to the rotary position embedding: RIFLEx, NTK scaling, time counted backwards."""

from __future__ import annotations

from dataclasses import replace

from wancore.errors import InvalidInput
from wancore.sampling.method import Method, NoParameters, Run
from wancore.transformer.canvas import Canvas
from wancore.transformer.rope import Frequencies, riflex
from wancore_guidance.parameters import NtkParameters, RiflexParameters


class Riflex(Method):
    """RIFLEx (arXiv:2502.15894): one time frequency takes 0.9 of a turn in the whole clip."""

    def __init__(self, parameters: RiflexParameters, run: Run) -> None:
        self.index, self.frames = parameters.index, run.frames

    def frequencies(self, frequencies: Frequencies, canvas: Canvas) -> Frequencies:
        pairs = frequencies.axes[0] // 2
        if self.index > pairs:
            raise InvalidInput("methods.riflex.index", self.index, f"1 to {pairs} for this model")
        return riflex(frequencies, self.index, self.frames)


class NtkScaling(Method):
    """NTK-aware scaling per axis, as in CineScale (arXiv:2508.15774): the base of the speeds grows."""

    def __init__(self, parameters: NtkParameters, run: Run) -> None:
        self.factors = parameters.f, parameters.h, parameters.w

    def frequencies(self, frequencies: Frequencies, canvas: Canvas) -> Frequencies:
        f, h, w = (theta * factor for theta, factor in zip(frequencies.theta, self.factors, strict=True))
        return replace(frequencies, theta=(f, h, w))


class ReversedTime(Method):
    """The clip's frames take each other's time positions, the last first; service frames keep theirs."""

    def __init__(self, parameters: NoParameters, run: Run) -> None:
        pass

    def canvas(self, canvas: Canvas) -> Canvas:
        times = canvas.times or tuple(canvas.origin + i for i in range(canvas.total))
        clip_end = canvas.head + canvas.frames
        clip = times[canvas.head : clip_end]
        return replace(canvas, times=(*times[: canvas.head], *clip[::-1], *times[clip_end:]))
