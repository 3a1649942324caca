"""Golden cases of the network and of what it reads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.ownership import BASE
from wancore.engine.modules import ExpertFiles, split
from wancore.parity import Case
from wancore.parity.fakes import FakeVae
from wancore.plugins.family import Base, Place
from wancore.transformer.attached import Attached
from wancore.transformer.canvas import Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore_vace.adapter import Guide, Guides
from wancore_vace.context import context_of
from wancore_vace.family import VaceFamily
from wancore_vace.references import letterboxed
from wancore_vace.source_video import covered, fitted_size, frame_numbers
from wancore_vace.strength import acts, strength_of

VAE = FakeVae(matrix="fake_vae/proj", scale=1.0)
CPU = torch.device("cpu")


@torch.no_grad()
def forward(case: Case) -> Mapping[str, Tensor]:
    """One prediction, with as many contexts as the case has."""
    family, config = VaceFamily(), case.config
    with case.checkpoint(config) as folder:
        views = split(ExpertFiles(folder), (family,))
        base = Base(transformer_config(views[BASE]))
        model = load_transformer(views[BASE], attend=case.attend, **case.place)
        adapter = family.adapter(
            base, views[family.id], Place(torch.device(case.device), case.place["dtype"])
        )
    contexts, scales = (
        case.numbered("vace_context_") or [case.inputs["vace_context"]],
        case.inputs["vace_scale"],
    )
    guides = Guides(
        tuple(Guide(c, strength_of(float(s), 0, 1, 1)) for c, s in zip(contexts, scales, strict=True))
    )
    x, patch = case.inputs["x"], model.config.patch_size
    canvas = Canvas(x.shape[1] // patch[0], x.shape[2] // patch[1], x.shape[3] // patch[2])
    inputs = Inputs(
        x,
        case.inputs["t"],
        build_layout(canvas, model.frequencies, device=case.device),
        EmbeddedText.of(model, case.inputs["context"]),
        data={family.id: guides},
    )
    return {"x": predict(model, inputs, Attached({family.id: adapter}, model.config.num_layers))}


def context(case: Case) -> Mapping[str, Tensor]:
    """The context, and the latent that is decoded of a sampled one."""
    pictures = list(case.inputs.get("refs", torch.empty(0)))
    made = context_of(VAE, case.inputs["frames"], case.inputs["mask"], pictures)
    return {"vace_context": made, "latent_without_refs": decoded(case.inputs["latent"], len(pictures))}


def decoded(latent: Tensor, references: int) -> Tensor:
    """The frames of a canvas that VACE has decoded."""
    canvas = Canvas(latent.shape[1] - references, latent.shape[2], latent.shape[3], head=references)
    return torch.cat([latent[:, span.start : span.stop] for span in VaceFamily().decode(canvas)], dim=1)


def reference_letterbox(case: Case) -> Mapping[str, Tensor]:
    height, width = case.config["canvas"]
    return {f"ref_{i}": letterboxed(image, height, width) for i, image in enumerate(case.numbered("image_"))}


def video_sampling(case: Case) -> Mapping[str, np.ndarray]:
    cases = case.inputs["cases"].tolist()
    sizes = [fitted_size(frames, height, width, area) for frames, _, height, width, area in cases]
    numbers = np.full(case.expected["frame_ids"].shape, -1, np.int64)
    for row, (frames, fps, *_), size in zip(numbers, cases, sizes, strict=True):
        row[: size.frames] = frame_numbers(frames, fps, size.frames)
    return {"frame_ids": numbers, "size": np.array([(s.frames, s.height, s.width) for s in sizes], np.int64)}


def resize_crop(case: Case) -> Mapping[str, Tensor]:
    return {"video": covered(case.inputs["video"], case.config["oh"], case.config["ow"])}


def start_end_percent(case: Case) -> Mapping[str, np.ndarray]:
    active = np.zeros(case.expected["active"].shape, np.int64)
    for row, (start, end, steps) in zip(active, case.inputs["cases"].double().tolist(), strict=True):
        row[: int(steps)] = [acts(i, int(steps), round(start, 6), round(end, 6)) for i in range(int(steps))]
    return {"active": active}
