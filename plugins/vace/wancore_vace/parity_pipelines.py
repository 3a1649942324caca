"""Golden cases of whole runs with two experts: our preparation, loop and decoding around a stand-in model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wancore.engine.compose import compose
from wancore.engine.sampler import Sampling, sample
from wancore.parity import Case
from wancore.parity.fakes import FakeExpert
from wancore.plugins.family import Base, Window
from wancore.request import parse_request
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.diffusers_schedules import flow_euler
from wancore.sampling.noise import NoiseSource
from wancore.sampling.registry import find_solver
from wancore.transformer.canvas import Canvas
from wancore.transformer.config import TransformerConfig
from wancore.transformer.predict import Inputs
from wancore_vace.family import VaceFamily
from wancore_vace.parity_cases import CPU, VAE, decoded
from wancore_vace.prepare import Prepared, PreparedContext, cleared
from wancore_vace.strength import strength_of


@dataclass
class FakeTools:
    """The case's VAE; nothing else is asked for."""

    vae = VAE
    device = CPU

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the case has no {name}")


@dataclass
class TaggedExpert(FakeExpert):
    """v = 0.6 tanh(x) + tag + 0.3 strength mean(context) + 0.05 mean(text) + 0.0001 t."""

    tag: float

    def predict(self, inputs: Inputs) -> Tensor:
        assert inputs.text.text is not None
        v = 0.6 * inputs.latents.tanh() + self.tag + 0.05 * inputs.text.text.mean()
        v = v + 0.0001 * inputs.layout.times(inputs.t).mean().float()
        for guide in inputs.data["vace"].contexts:
            v = v + 0.3 * guide.strength.at(inputs.scope.step) * guide.latents.mean(0)
        return v


def two_experts(case: Case) -> Mapping[str, Tensor]:
    """The high-noise expert, then the low-noise one; references are stepped and dropped."""
    config, family = case.config, VaceFamily()
    base = Base(TransformerConfig(64, 64, 4, 1, 16, 16), ("high", "low"), boundary=config["boundary"])
    request = parse_request(
        {
            "steps": config["steps"], "shift": config["shift"], "guidance": (config["guidance"],),
            "size": "{width}x{height}".format(**config), "frames": config["frames"], "solver": "euler",
        }
    )  # fmt: skip
    tools = FakeTools()
    lead = family.lead(request, base, tools)
    prepared = prepared_of(case)
    (window,) = (Window(0, 0, config["frames"]),)
    conditioning = compose(family.window(prepared, window, None, tools), [])
    experts = {"high": TaggedExpert(0.25), "low": TaggedExpert(0.0)}
    sampling = Sampling(
        lead, find_solver("euler", SOLVERS), flow_euler(lead.steps, lead.shift),
        family.guidance(prepared, lead, window), base.experts, experts.__getitem__,
    )  # fmt: skip
    latent = case.inputs["noise"]
    for stepped in sample(sampling, conditioning, latent, NoiseSource(0)):
        latent = stepped.x
    return {"latents": decoded(latent, conditioning.canvas.head)}


def prepared_of(case: Case) -> Prepared:
    """The case's pixels, as preparation leaves them."""
    config, inputs = case.config, case.inputs
    video = inputs.get("video", inputs.get("control_video"))
    if video is None:
        video = torch.zeros(3, config["frames"], config["height"], config["width"])
    mask = inputs.get("mask_video", torch.ones_like(video[:1]))
    frames, mask = cleared(video * 2 - 1, mask, "video" in inputs)
    references = tuple((inputs["ref_images"] * 2 - 1).split(1, dim=1)) if "ref_images" in inputs else ()
    strength = strength_of(float(config["scale"]), 0, 1, config["steps"])
    context = PreparedContext(frames, mask, references, strength)
    canvas = Canvas(
        (config["frames"] - 1) // 4 + 1, config["height"] // 16, config["width"] // 16, head=len(references)
    )
    return Prepared((context,), canvas, {"positive": inputs["text"], "negative": inputs["text_neg"]})
