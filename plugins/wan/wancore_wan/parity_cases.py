"""Golden cases of the transformer and of the small functions around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wancore.checkpoints.canonical import open_transformer
from wancore.checkpoints.stored import Piece
from wancore.parity import Case, Result
from wancore.parity.case import written_checkpoint
from wancore.transformer.batch import predict_batch
from wancore.transformer.canvas import Canvas, Clock
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs
from wancore.transformer.rope import Frequencies, Rotation, grid_positions
from wancore_wan.masks import known_frames
from wancore_wan.sizes import area_size, covered_size


@torch.no_grad()
def forward(case: Case) -> Mapping[str, Tensor]:
    """All samples of the case in one batch."""
    with case.checkpoint(case.config["model"]) as folder:
        model = load_transformer(folder, attend=case.attend, **case.place)
    latents, channels, texts = case.numbered("x"), case.numbered("y"), case.numbered("context")
    batch = []
    for i, x in enumerate(latents):
        canvas = canvas_of(x, model)
        clock, t = clock_of(case.inputs["t"][i], canvas)
        layout = build_layout(canvas, model.frequencies, clock, device=case.device)
        text = EmbeddedText.of(model, texts[i], image_features(case, model, i, len(latents)))
        batch.append(Inputs(torch.cat((x, channels[i])) if channels else x, t, layout, text))
    return {f"v{i}": velocity for i, velocity in enumerate(predict_batch(model, batch))}


def canvas_of(x: Tensor, model: WanTransformer) -> Canvas:
    frames, rows, columns = (n // p for n, p in zip(x.shape[1:], model.config.patch_size, strict=True))
    return Canvas(frames, rows, columns)


def clock_of(t: Tensor, canvas: Canvas) -> tuple[Clock, Tensor]:
    """A sample's timestep: a number, or one per token (those of padding tokens do not count)."""
    if t.ndim == 0:
        return Clock(), t[None]
    times, index = t[: canvas.rows].unique(return_inverse=True)
    return Clock(index), times


def image_features(case: Case, model: WanTransformer, i: int, samples: int) -> Tensor | None:
    """Sample i's CLIP features; with position embeddings the features of both images in a row."""
    if "clip" not in case.inputs:
        return None
    clip = case.inputs["clip"]
    return clip.unflatten(0, (samples, -1))[i].flatten(0, 1)


def rope(case: Case) -> Mapping[str, Tensor]:
    """Tables at given positions, and the rotation of grids shorter than their padded sequence."""
    outputs: dict[str, Tensor] = {}
    positions = case.inputs["positions"].double()
    for head_dim in case.config["head_dims"]:
        frequencies = Frequencies(head_dim, (float(case.config["theta"]),) * 3)
        table = frequencies.factors(positions[:, None].expand(-1, 3))
        outputs[f"cos_d{head_dim}"], outputs[f"sin_d{head_dim}"] = table.real, table.imag
        rotated = case.inputs[f"q_d{head_dim}"].clone()
        for i, grid in enumerate(case.inputs["grids"].int().tolist()):
            tokens = grid[0] * grid[1] * grid[2]
            rotation = Rotation.of(frequencies.factors(grid_positions(*grid)))
            rotated[i, :tokens] = rotation(rotated[i, :tokens])
        outputs[f"q_rotated_d{head_dim}"] = rotated
    return outputs


@torch.no_grad()
def time(case: Case) -> Mapping[str, Tensor]:
    with case.checkpoint(case.config["model"]) as folder:
        e, e0 = load_transformer(folder).embed_time(case.inputs["t"])
    return {"e": e, "e0": e0}


def masks(case: Case) -> Mapping[str, Tensor]:
    height, width = case.config["latent_hw"]
    return {
        f"{name}_{frames}": known_frames(frames, height, width, last=last)
        for frames in case.config["frames"]
        for name, last in (("first", False), ("first_last", True))
    }


def sizes(case: Case) -> Mapping[str, np.ndarray]:
    patch, stride21, stride22 = (case.config[k] for k in ("patch", "stride21", "stride22_ti2v"))
    images = case.inputs["image_hw_area"].int().tolist()
    sized = {
        "i2v_hw": [area_size(h, w, area, stride21, patch) for h, w, area in images],
        "ti2v_hw": [covered_size(h, w, area, stride22 * patch) for h, w, area in images],
    }
    return {name: np.array(rows, dtype=np.float32) for name, rows in sized.items()}


def diffusers_keys(case: Case) -> Result:
    """A diffusers checkpoint made with the case's map must load as the case it is the same as."""
    key_map: dict[str, list[list[Any]]] = case.meta["map"]
    twin = Case.load(case.path.parent / f"{case.config['same_as']}.safetensors")
    weights = twin.weights()
    renamed = {new: weights[old] for old, ((new, _),) in key_map.items()}
    with written_checkpoint(renamed) as folder:
        view = open_transformer(folder)
        stored = {n: p.name for n, info in view.entries.items() for p in info.pieces if isinstance(p, Piece)}
    found = {old: [[stored[old], [0, 1]]] for old in stored}
    return Result({"count": np.array([len(found)], dtype=np.float32)}, {"map": found})
