"""Golden cases of whole runs: our preparation, guidance, solver and loop around a stand-in model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from wancore.engine.compose import Composed, compose
from wancore.engine.sampler import Sampling, sample
from wancore.parity import Case, seeded
from wancore.parity.fakes import FakeExpert, FakeVae, NoSound
from wancore.plugins.family import Base
from wancore.request import parse_request
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.noise import NoiseSource
from wancore.sampling.registry import find_solver
from wancore.transformer.config import TransformerConfig
from wancore.transformer.predict import Inputs
from wancore_wan.family import WanFamily

CPU = torch.device("cpu")
PROMPT, NEGATIVE = "the prompt", "the negative prompt"


@dataclass
class FakeTools(NoSound):
    """The cases' text encoder, CLIP and VAE; images come from the case."""

    images: Mapping[str, Tensor]
    vae: FakeVae
    device: torch.device = CPU

    def text(self, prompts: Sequence[str]) -> list[Tensor]:
        made = {
            "pos": seeded.tensor("fake_text/pos", [5, 8]) + 0.3,
            "neg": seeded.tensor("fake_text/neg", [5, 8]),
        }
        return [torch.from_numpy(made["pos" if prompt == PROMPT else "neg"]) for prompt in prompts]

    def image_features(self, images: Sequence[Tensor]) -> Tensor:
        return torch.stack([image.mean() for image in images])[:, None, None]

    def image(self, role: str) -> Tensor:
        return self.images[role]

    def video(self, role: str) -> NoReturn:
        raise AssertionError("the cases give no video")

    def draw(self, shape: Sequence[int]) -> NoReturn:
        raise AssertionError("the cases give all noise")


@dataclass
class WeighedExpert(FakeExpert):
    """v = a x + b mean(text) + c mean(t) / 1000 + d y[4:] + e mean(y[:4]) + f mean(clip)."""

    factors: Sequence[float]
    channels: int

    def predict(self, inputs: Inputs) -> Tensor:
        a, b, c, d, e, f = self.factors
        x, y = inputs.latents[: self.channels], inputs.latents[self.channels :]
        assert inputs.text.text is not None
        times, index = inputs.layout.times(inputs.t), inputs.layout.levels.index
        per_token = times if index is None else times[index]
        v = a * x + b * inputs.text.text.mean() + c * per_token.mean().float() / 1000
        if len(y):
            v = v + d * y[4:] + e * y[:4].mean(0)
        return v if inputs.text.image is None else v + f * inputs.text.image.mean()


def base_of(variant: str, vae: FakeVae, boundary: float | None = None) -> Base:
    channels = vae.latent_channels
    config = TransformerConfig(64, 64, 4, 1, channels, channels)
    experts = ("",) if boundary is None else ("high", "low")
    return Base(
        config, experts, variant, boundary, spatial_stride=vae.spatial_stride, latent_channels=channels
    )


def prepared(
    case: Case, variant: str, vae: FakeVae, images: Mapping[str, str], **fields: Any
) -> tuple[Sampling, Composed]:
    """The family's own preparation of the case's request. `images`: role -> name of the case's input."""
    config = case.config
    experts = config.get("fake_models") or [config["fake_model"]]
    base = base_of(variant, vae, config.get("boundary"))
    scales = config["guide_scale"] if isinstance(config["guide_scale"], list) else [config["guide_scale"]]
    request = parse_request(
        {
            "prompt": PROMPT,
            "negative_prompt": NEGATIVE,
            "steps": config["steps"],
            "shift": config["shift"],
            "solver": config.get("solver"),
            "guidance": tuple(reversed(scales)),  # cases list the low-noise expert first
            "inputs": {role: Path(name) for role, name in images.items()},
            "frames": case.inputs["noise"].shape[1] * 4 - 3,
            **fields,
        }
    )
    tools = FakeTools({role: case.inputs[name].byte() for role, name in images.items()}, vae)
    family = WanFamily()
    lead = family.lead(request, base, tools)
    ready = family.prepare(request, base, lead, tools)
    (window,) = family.windows(ready, lead)
    conditioning = compose(family.window(ready, window, None, tools), [])
    by_name = dict(zip(base.experts, (WeighedExpert(f, vae.latent_channels) for f in experts), strict=True))
    solver = find_solver(lead.solver, SOLVERS)
    guidance = family.guidance(ready, lead, window)
    schedule = solver.schedule(lead.steps, lead.shift)
    return Sampling(lead, solver, schedule, guidance, base.experts, by_name.__getitem__), conditioning


def finished(case: Case, sampling: Sampling, conditioning: Composed) -> dict[str, Tensor]:
    latent = case.inputs["noise"]
    for stepped in sample(sampling, conditioning, latent, NoiseSource(0)):
        latent = stepped.x
    outputs = {"latent": latent}
    if conditioning.channels is not None:
        outputs["y"] = conditioning.channels.tensor
    return outputs


def area(case: Case) -> dict[str, Any]:
    return {"params": {"max_area": case.config["max_area"]}} if "max_area" in case.config else {}


def size(case: Case) -> dict[str, Any]:
    return {"size": "{}x{}".format(*case.config["size"])} if "size" in case.config else {}


def i2v(case: Case) -> Mapping[str, Tensor]:
    variant = "i2v" if case.config["code"] == "wan2.1" else "i2v-a14b"
    return finished(case, *prepared(case, variant, FakeVae(), {"image": "image"}, **area(case)))


def flf2v(case: Case) -> Mapping[str, Tensor]:
    images = {"image": "first", "last_image": "last"}
    return finished(case, *prepared(case, "flf2v", FakeVae(), images, **area(case)))


def two_experts(case: Case) -> Mapping[str, Tensor]:
    return finished(case, *prepared(case, "t2v", FakeVae(), {}, **size(case)))


def ti2v(case: Case) -> Mapping[str, Tensor]:
    vae = FakeVae(latent_channels=48, spatial_stride=16)
    images = {"image": "image"} if "image" in case.inputs else {}
    return finished(case, *prepared(case, "ti2v", vae, images, **area(case), **size(case)))
