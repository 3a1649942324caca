"""Denoising one window: everything a request settled, put around the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from wancore.engine.compose import Composed
from wancore.engine.expert import Expert
from wancore.engine.predictor import WindowPredictor
from wancore.engine.texts import EmbeddedTexts
from wancore.plugins.family import Lead
from wancore.sampling.fusion import WindowAt, Windowed
from wancore.sampling.guidance import Guidance
from wancore.sampling.guided import Guided, surrounded
from wancore.sampling.hooks import Step
from wancore.sampling.loop import Stepped, Velocity, denoise
from wancore.sampling.method import Method
from wancore.sampling.noise import NoiseSource
from wancore.sampling.rounds import in_rounds
from wancore.sampling.solver import Schedule, SolverSpec
from wancore.sampling.windows import WindowPlan


@dataclass(frozen=True)
class Sampling:
    """How one window is denoised.

    `experts`: names in the order of use. `texts`: embedded text, kept over the windows of a request.
    `window`: its number. `overlap`: overlapping windows within it.
    """

    lead: Lead
    solver: SolverSpec
    schedule: Schedule
    guidance: Guidance
    experts: tuple[str, ...]
    expert: Callable[[str], Expert]
    methods: Sequence[Method] = ()
    texts: EmbeddedTexts = field(default_factory=EmbeddedTexts)
    window: int = 0
    overlap: WindowPlan | None = None

    def expert_at(self, step: Step) -> str:
        """The first expert while the timestep is at or above the boundary, then the second."""
        return self.experts[self.lead.expert_at(step.timestep)]


def sample(
    sampling: Sampling, conditioning: Composed, noise: Tensor, source: NoiseSource
) -> Iterator[Stepped]:
    """Denoises `noise` [C, F, h, w] float32; yields after each step of each round."""
    velocity = surrounded(predictor(sampling, conditioning), sampling.methods)
    for method in sampling.methods:
        noise = method.initial_noise(noise, source)

    def run(start: Tensor) -> Iterator[Stepped]:
        solver = sampling.solver.make(sampling.schedule)
        return denoise(start, sampling.schedule, solver, velocity, source.draw, conditioning.hooks)

    return in_rounds(noise, run, sampling.methods, source)


def predictor(sampling: Sampling, conditioning: Composed) -> Velocity:
    """The guided velocity of the canvas, in one piece or in overlapping windows."""
    if sampling.overlap is None:
        return guided(sampling, conditioning, 0)
    parts: dict[int, Velocity] = {}

    def predict(x: Tensor, step: Step, at: WindowAt) -> Tensor:
        if at.index not in parts:
            parts[at.index] = guided(sampling, conditioning.at(at.frames), at.index)
        return parts[at.index](x, step)

    canvas = conditioning.canvas
    return Windowed(sampling.overlap, canvas.frames, predict, canvas.head)


def guided(sampling: Sampling, conditioning: Composed, overlap: int) -> Guided:
    predict = WindowPredictor(
        sampling.expert, conditioning, sampling.window, overlap, sampling.methods, sampling.texts
    )
    return Guided(predict, sampling.guidance, sampling.methods, sampling.expert_at, overlap)
