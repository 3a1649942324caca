"""Golden cases of ReCamMaster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.ownership import BASE
from wancore.engine.compose import compose
from wancore.engine.expert import LoadedExpert
from wancore.engine.modules import ExpertFiles, split
from wancore.engine.sampler import Sampling, sample
from wancore.parity import Case
from wancore.plugins.conditioning import Conditioning, Payload
from wancore.plugins.family import Base, Place, Window
from wancore.request import parse_request
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.noise import NoiseSource
from wancore.sampling.registry import find_solver
from wancore.transformer.attached import Attached
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore_recammaster.adapter import source_segment
from wancore_recammaster.family import ReCamMasterFamily
from wancore_recammaster.poses import from_unreal, relative, vectors
from wancore_recammaster.prepare import SLOT, source_of

CPU = torch.device("cpu")


class NoTools:
    """The cases give latents and embedded text."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the case has no {name}")


def camera(case: Case) -> Mapping[str, Tensor]:
    """Every path of the case, seen from its own first camera or from that of the reference path."""
    rows, named = case.inputs["json_rows"].double().numpy(), case.config.get("reference_cam")
    paths = [from_unreal(path) for path in rows]
    fixed = None if named is None else paths[case.config["cams"].index(named)][0]
    made = torch.stack([vectors(relative(p, p[0] if fixed is None else fixed)) for p in paths])
    return {"camera": made, "camera_bf16": made.bfloat16().float()}


@dataclass(frozen=True)
class Loaded:
    """The model of a case, with its adapter attached."""

    base: Base
    expert: LoadedExpert

    @classmethod
    def of(cls, case: Case) -> Loaded:
        """The text of these cases is not padded."""
        family, rows = ReCamMasterFamily(), case.inputs["context"].shape[-2]
        with case.checkpoint({**case.config, "text_len": rows}) as folder:
            views = split(ExpertFiles(folder), (family,))
            base = Base(transformer_config(views[BASE]))
            model = load_transformer(views[BASE], attend=case.attend, **case.place)
            adapter = family.adapter(base, views[family.id], Place(model.device, model.dtype))
        return cls(base, LoadedExpert(model, Attached({SLOT: adapter}, base.transformer.num_layers)))

    def canvas(self, x: Tensor) -> Canvas:
        patch = self.base.transformer.patch_size
        return Canvas(x.shape[1] // patch[0], x.shape[2] // patch[1], x.shape[3] // patch[2])

    def predict(self, case: Case, x: Tensor, camera: Tensor, segments: tuple[Segment, ...] = ()) -> Tensor:
        model = self.expert.model
        layout = build_layout(
            self.canvas(x), model.frequencies, segments=segments, frame_levels=True, device=model.device
        )
        text = EmbeddedText.of(model, case.inputs["context"][0])
        inputs = Inputs(x, case.inputs["timestep"], layout, text, segments, {SLOT: camera})
        return predict(model, inputs, self.expert.attached)


@torch.no_grad()
def forward(case: Case) -> Mapping[str, Tensor]:
    loaded = Loaded.of(case)
    (x,), (source,), path = case.inputs["x"], case.inputs["source_latents"], case.inputs["camera"]
    target = loaded.predict(case, x, path, (source_segment(loaded.expert.model, source),))
    # A segment has no velocity; on a canvas of twice as many frames, the source half has one too.
    full = loaded.predict(case, torch.cat((x, source), dim=1), path.repeat(2, 1))
    return {"target": target[None], "full": full[None]}


@torch.no_grad()
def sampling_loop(case: Case) -> Mapping[str, Tensor]:
    """The whole loop around the whole model."""
    loaded, family, config = Loaded.of(case), ReCamMasterFamily(), case.config
    (noise,), (source,) = case.inputs["noise"], case.inputs["source_latents"]
    (positive,), (negative,) = case.inputs["context"], case.inputs["negative_context"]
    fields = {"steps": config["steps"], "shift": config["shift"], "guidance": (config["cfg_scale"],)}
    size = {"size": f"{noise.shape[3] * 8}x{noise.shape[2] * 8}", "frames": noise.shape[1] * 4 - 3}
    lead = family.lead(parse_request({**fields, **size}), loaded.base, NoTools())
    conditioning = Conditioning(
        loaded.canvas(noise),
        texts={"positive": positive, "negative": negative},
        segments=(source_of(source),),
        data={SLOT: {"on": Payload(case.inputs["camera"])}},
    )
    solver = find_solver(lead.solver, SOLVERS)
    guidance = family.guidance(None, lead, Window(0, 0, lead.frames))
    sampling = Sampling(
        lead,
        solver,
        solver.schedule(lead.steps, lead.shift),
        guidance,
        ("",),
        {"": loaded.expert}.__getitem__,
    )
    latent = noise
    for stepped in sample(sampling, compose(conditioning, []), noise, NoiseSource(0)):
        latent = stepped.x
    return {"latents": latent[None]}
