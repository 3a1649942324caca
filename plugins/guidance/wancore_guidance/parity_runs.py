"""Golden cases of whole runs of a tiny transformer, through the engine's own sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from wancore.engine.compose import Composed
from wancore.engine.expert import LoadedExpert
from wancore.engine.sampler import Sampling, sample
from wancore.parity.case import Case
from wancore.plugins import plugin_manager
from wancore.plugins.family import Lead
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.guidance import Guidance, classifier_free, per_step
from wancore.sampling.method import Method, MethodSpec, Run
from wancore.sampling.noise import NoiseSource
from wancore.sampling.registry import find_solver
from wancore.transformer.attached import Attached
from wancore.transformer.canvas import Canvas
from wancore.transformer.load import load_transformer
from wancore.transformer.model import WanTransformer

#: What a case's run may set beside its methods.
PLAIN = {"id", "cfg", "shift", "steps"}

Chosen = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Tiny:
    """The case's transformer and texts."""

    case: Case
    model: WanTransformer

    @property
    def texts(self) -> Mapping[str, Tensor]:
        return {"positive": self.case.inputs["context"], "negative": self.case.inputs["negative"]}

    @property
    def canvas(self) -> Canvas:
        _, frames, height, width = self.case.inputs["noise"].shape
        f, h, w = self.model.config.patch_size
        return Canvas(frames // f, height // h, width // w)


@torch.no_grad()
def tiny_run(case: Case) -> Mapping[str, Tensor]:
    """The latent of every run, and where a step cache acts, the steps it skipped in each pass."""
    with case.checkpoint(case.config["model"]) as folder:
        tiny = Tiny(case, load_transformer(folder))
    specs = {spec.name: spec for _, spec in plugin_manager().collect("wancore_methods")}
    outputs = {}
    for run in case.config["runs"]:
        methods = methods_of(tiny, run, specs)
        latent = sampled(tiny, run, methods)
        outputs[f"{run['id']}.latent"] = latent
        outputs[f"{run['id']}.skip"] = skip_table(methods, run["steps"])
    return {name: outputs[name] for name in case.expected}


def guidance_of(run: Mapping[str, Any]) -> Guidance:
    scale = run["cfg"]
    return classifier_free(per_step(scale) if isinstance(scale, list) else scale)


def methods_of(tiny: Tiny, run: Mapping[str, Any], specs: Mapping[str, MethodSpec]) -> list[Method]:
    about = Run(
        steps=run["steps"],
        frames=tiny.canvas.frames,
        layers=tiny.model.config.num_layers,
        main=frozenset({"positive"}),
        guidance=guidance_of(run),
        encode=lambda name: tiny.case.inputs[name],
        negative="negative",
    )
    chosen = sorted(((specs[name], values) for name, values in chosen_by(run).items()), key=by_order)
    return [spec.make(spec.parameters.model_validate(values), about) for spec, values in chosen]


def by_order(chosen: tuple[MethodSpec, Any]) -> int:
    return chosen[0].order


def chosen_by(run: Mapping[str, Any]) -> Chosen:
    """A case's run in our names. Raises KeyError for a setting that is not known."""
    chosen: Chosen = {}
    if run.get("zero_star"):
        chosen["cfg-zero-star"] = {"zero_steps": run["zero_steps"] + 1}
    for name in run.keys() - PLAIN - {"zero_star", "zero_steps"}:
        method, values = NAMED[name](run[name])
        chosen[method] = values
    return chosen


def nag(values: Mapping[str, float]) -> tuple[str, dict[str, Any]]:
    return "nag", {"text": "nag", **{name.removeprefix("nag_"): value for name, value in values.items()}}


def teacache(values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "teacache", {
        "threshold": values["thresh"],
        "coefficients": values["coefficients"],
        "embedding": "e0" if values["ret"] else "e",
    }


def magcache(values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    names = {"thresh": "threshold", "K": "longest"}
    return "magcache", {names.get(name, name): value for name, value in values.items()}


def easycache(values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "easycache", {"threshold": values["thresh"], "start_step": values["ret"]}


NAMED = {
    "slg": lambda values: ("slg", dict(values)),
    "feta": lambda weight: ("feta", {"weight": weight}),
    "nag": nag,
    "tea": teacache,
    "mag": magcache,
    "easy": easycache,
}


def sampled(tiny: Tiny, run: Mapping[str, Any], methods: list[Method]) -> Tensor:
    """The run's last latent."""
    lead = Lead(
        width=0, height=0, frames=0, fps=Fraction(16), steps=run["steps"], solver="unipc",
        shift=run["shift"], guidance_scales=(), negative_prompt="negative",
    )  # fmt: skip
    adapters = {slot: adapter for method in methods for slot, adapter in method.adapters().items()}
    expert = LoadedExpert(tiny.model, Attached(adapters, tiny.model.config.num_layers))
    solver = find_solver(lead.solver, SOLVERS)
    sampling = Sampling(
        lead=lead,
        solver=solver,
        schedule=solver.schedule(lead.steps, lead.shift),
        guidance=guidance_of(run),
        experts=("",),
        expert=lambda name: expert,
        methods=methods,
    )
    conditioning = Composed(tiny.canvas, None, None, tiny.texts, {}, (), {}, (), None)
    latent = tiny.case.inputs["noise"]
    for stepped in sample(sampling, conditioning, latent, NoiseSource(0)):
        latent = stepped.x
    return latent


def skip_table(methods: list[Method], steps: int) -> Tensor:
    """[steps, 2] int32: whether the conditional and the unconditional pass were skipped."""
    table = torch.zeros(steps, 2, dtype=torch.int32)
    for method in methods:
        for (name, _, _), skipped in method.skipped.items():
            table[list(skipped), 0 if name == "positive" else 1] = 1
    return table
