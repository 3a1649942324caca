"""Golden cases of the face, of forward passes that remember it, and of whole runs with one or two experts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.ownership import BASE
from wancore.engine.compose import compose
from wancore.engine.expert import LoadedExpert
from wancore.engine.modules import ExpertFiles, split
from wancore.engine.sampler import Sampling, sample
from wancore.media.convert import from_uint8
from wancore.parity import Case, seeded
from wancore.parity.case import written_checkpoint
from wancore.plugins.conditioning import Conditioning, Payload
from wancore.plugins.family import Base, Lead, Place
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.guidance import classifier_free
from wancore.sampling.noise import NoiseSource
from wancore.sampling.registry import find_solver
from wancore.transformer.attached import Attached, Scope
from wancore.transformer.canvas import Along, Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore_standin.adapter import Face
from wancore_standin.face import face_of, on_white
from wancore_standin.family import StandInFamily

SLOT = StandInFamily.id


def face_crop(case: Case) -> Mapping[str, Tensor]:
    size, found = case.config["resize_to"], dict[str, Tensor]()
    labels = case.numbered("parse")
    for i, image in enumerate(case.numbered("image")):
        shown = (labels[i].numpy() != 0).astype(np.uint8)
        face = torch.from_numpy(on_white(face_of(image.numpy(), case.config["faces"][i], size), shown))
        pixels = from_uint8(face[None])[:, 0]
        found |= {f"face{i}": face, f"alpha{i}": torch.from_numpy(shown * 255), f"pixels{i}": pixels}
    return found


def loaded(folder: Path) -> LoadedExpert:
    family = StandInFamily()
    views = split(ExpertFiles(folder), (family,))
    base = Base(transformer_config(views[BASE]))
    model = load_transformer(views[BASE])
    adapter = family.adapter(base, views[SLOT], Place(model.device, model.dtype))
    return LoadedExpert(model, Attached({SLOT: adapter}, base.transformer.num_layers))


def canvas_of(latent: Tensor) -> Canvas:
    return Canvas(latent.shape[1], latent.shape[2] // 2, latent.shape[3] // 2)


@torch.no_grad()
def two_pass(case: Case) -> Mapping[str, Tensor]:
    """The second pass has other latents, another timestep and another text, and the first one's memory."""
    given = case.inputs
    with case.checkpoint({**case.config, "text_len": len(given["context1"])}) as folder:
        expert = loaded(folder)
    face, found = Face(given["ip_latent"]), dict[str, Tensor]()
    layout = build_layout(canvas_of(given["latents1"]), expert.frequencies)
    for i in (1, 2):
        context = given[f"context{i}"]
        text = EmbeddedText.of(expert.model, context, length=len(context))
        inputs = Inputs(
            given[f"latents{i}"], given[f"t{i}"], layout, text, data={SLOT: face}, scope=Scope(step=i)
        )
        found[f"pass{i}"] = predict(expert.model, inputs, expert.attached)
    return found


class Unpadded(LoadedExpert):
    """An expert that reads each text without padding, as these cases do."""

    def embed_text(self, text: Tensor | None, image: Tensor | None) -> EmbeddedText:
        assert text is not None
        return EmbeddedText.of(self.model, text, length=len(text))


@torch.no_grad()
def sampling(case: Case) -> Mapping[str, Tensor]:
    """The whole loop; with two models the second one's weights have names of their own."""
    config, given = case.config, case.inputs
    two = config.get("two_models", False)
    weights = [case.weights()]
    if two:
        low = seeded.weights({f"low.{name}": shape for name, shape in case.meta["keys"].items()})
        weights.append({name.removeprefix("low."): array for name, array in low.items()})
    with ExitStack() as stack:
        folders = [stack.enter_context(written_checkpoint(w, config)) for w in weights]
        experts = [loaded(folder) for folder in folders]
    ready = [Unpadded(expert.model, expert.attached) for expert in experts]
    names = ("high", "low") if two else ("",)
    latent = given["noise"]
    lead = Lead(
        8 * latent.shape[3], 8 * latent.shape[2], 4 * latent.shape[1] - 3, Fraction(25),
        config["steps"], "euler", config["shift"], (config["cfg_scale"],) * len(names), "",
        config["boundary"] if two else None,
    )  # fmt: skip
    conditioning = Conditioning(
        canvas_of(latent),
        texts={"positive": given["context"], "negative": given["context_null"]},
        data={SLOT: {"on": Payload(Face(given["ip_latent"]), Along.FIXED)}},
    )
    solver = find_solver(lead.solver, SOLVERS)
    by_name = dict(zip(names, ready, strict=True))
    run = Sampling(
        lead, solver, solver.schedule(lead.steps, lead.shift), classifier_free(lead.guidance_at),
        names, by_name.__getitem__,
    )  # fmt: skip
    for stepped in sample(run, compose(conditioning, []), latent, NoiseSource(0)):
        latent = stepped.x
    return {"latent": latent}
