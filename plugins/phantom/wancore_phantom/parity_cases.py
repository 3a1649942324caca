"""Golden cases of the references, of the transformer that reads them, and of a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor

from wancore.engine.compose import compose
from wancore.engine.expert import LoadedExpert
from wancore.engine.sampler import Sampling, sample
from wancore.media.convert import from_uint8
from wancore.media.letterbox import letterboxed
from wancore.parity import Case
from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Lead
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.noise import NoiseSource
from wancore.sampling.registry import find_solver
from wancore.transformer.attached import Attached
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore_phantom.guidance import phantom_guidance
from wancore_phantom.references import reference_segment, sources


def letterbox(case: Case) -> Mapping[str, Tensor]:
    width, height = case.config["size"]
    found: dict[str, Tensor] = {}
    for i, image in enumerate(case.numbered("image")):
        canvas = torch.from_numpy(letterboxed(image.numpy(), width, height))
        found |= {f"canvas{i}": canvas, f"pixels{i}": from_uint8(canvas[None])[:, 0]}
    return found


def loaded(case: Case) -> WanTransformer:
    with case.checkpoint(case.config) as folder:
        return load_transformer(folder)


def canvas_of(latent: Tensor) -> Canvas:
    return Canvas(latent.shape[1], latent.shape[2] // 2, latent.shape[3] // 2)


@torch.no_grad()
def transformer(case: Case) -> Mapping[str, Tensor]:
    """A segment has no velocity: the frames behind the video come from a canvas that holds them too."""
    model, video, reference = loaded(case), case.inputs["video"], case.inputs["ref"]
    text = EmbeddedText.of(model, case.inputs["context"])

    def velocity(x: Tensor, *segments: Segment) -> Tensor:
        layout = build_layout(canvas_of(x), model.frequencies, segments=segments)
        return predict(model, Inputs(x, case.inputs["t"], layout, text, segments))

    def whole(latents: Tensor) -> Tensor:
        video_part = velocity(video, reference_segment(model, latents))
        rest = velocity(torch.cat((video, latents), dim=1))[:, video.shape[1] :]
        return torch.cat((video_part, rest), dim=1)

    return {"pred": whole(reference), "pred_zero_ref": whole(torch.zeros_like(reference))}


@torch.no_grad()
def sampling(case: Case) -> Mapping[str, Tensor]:
    """The whole loop around the whole model."""
    config, reference = case.config, case.inputs["ref"]
    model = loaded(case)
    latent = case.inputs["noise"][:, : -reference.shape[1]]
    lead = Lead(
        8 * latent.shape[3], 8 * latent.shape[2], config["frame_num"], Fraction(16),
        config["steps"], "unipc", config["shift"], (config["guide_scale_text"],), "",
    )  # fmt: skip
    conditioning = Conditioning(
        canvas_of(latent),
        texts={"positive": case.inputs["context"], "negative": case.inputs["context_null"]},
        segments=sources(reference),
    )
    solver = find_solver(lead.solver, SOLVERS)
    expert = LoadedExpert(model, Attached({}, model.config.num_layers))
    run = Sampling(
        lead, solver, solver.schedule(lead.steps, lead.shift),
        phantom_guidance(lead.guidance_at, config["guide_scale_img"]), ("",), lambda name: expert,
    )  # fmt: skip
    for stepped in sample(run, compose(conditioning, []), latent, NoiseSource(0)):
        latent = stepped.x
    return {"latent": latent}
