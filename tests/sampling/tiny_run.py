"""Whole runs of a tiny transformer through the engine's sampler, with methods as a user names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from tests.transformer.models import noise, tiny
from wancore.engine.compose import Composed
from wancore.engine.expert import LoadedExpert
from wancore.engine.sampler import Sampling, sample
from wancore.plugins import plugin_manager
from wancore.plugins.family import Lead
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.guidance import Guidance, classifier_free
from wancore.sampling.method import Method, Run, check_together
from wancore.sampling.noise import NoiseSource
from wancore.sampling.registry import find_solver
from wancore.sampling.windows import WindowPlan
from wancore.transformer.attached import Attached
from wancore.transformer.canvas import Canvas
from wancore.transformer.model import WanTransformer

TEXTS = {"positive": noise(5, 12, seed=1), "negative": noise(3, 12, seed=2)}


@dataclass(frozen=True)
class TinyRun:
    """A request for a clip of `frames` latent frames, 4 x 6 latent pixels."""

    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    guidance: Guidance = field(default_factory=lambda: classifier_free(4.0))
    steps: int = 5
    frames: int = 4
    windows: WindowPlan | None = None
    model: WanTransformer = field(default_factory=lambda: tiny(num_layers=3))

    @property
    def about(self) -> Run:
        return Run(
            self.steps, self.frames, self.model.config.num_layers, frozenset({"positive"}), self.guidance,
            encoded, "the negative prompt", windows=self.windows, experts={"": self.steps},
        )  # fmt: skip

    def made(self) -> list[Method]:
        specs = {spec.name: spec for _, spec in plugin_manager().collect("wancore_methods")}
        chosen = sorted((specs[name] for name in self.methods), key=lambda s: (s.order, s.name))
        check_together(chosen)
        return [s.make(s.parameters.model_validate(self.methods[s.name]), self.about) for s in chosen]

    @property
    def noise(self) -> Tensor:
        return noise(4, self.frames, 4, 6, seed=11)

    def latents(self, methods: Sequence[Method] | None = None, start: Tensor | None = None) -> list[Tensor]:
        """The latent after every step of every round."""
        methods = self.made() if methods is None else methods
        lead = Lead(0, 0, 0, Fraction(16), self.steps, "unipc", 5.0, (), "the negative prompt")
        adapters = {slot: adapter for m in methods for slot, adapter in m.adapters().items()}
        expert = LoadedExpert(self.model, Attached(adapters, self.model.config.num_layers))
        solver = find_solver(lead.solver, SOLVERS)
        sampling = Sampling(
            lead=lead,
            solver=solver,
            schedule=solver.schedule(lead.steps, lead.shift),
            guidance=self.guidance,
            experts=("",),
            expert=lambda name: expert,
            methods=methods,
            overlap=self.windows,
        )
        conditioning = Composed(Canvas(self.frames, 2, 3), None, None, TEXTS, {}, (), {}, (), None)
        begin = self.noise if start is None else start
        with torch.no_grad():
            return [stepped.x for stepped in sample(sampling, conditioning, begin, NoiseSource(12))]

    def latent(self) -> Tensor:
        return self.latents()[-1]


def encoded(text: str) -> Tensor:
    """Rows that depend on the text."""
    return noise(4, 12, seed=sum(text.encode()))
