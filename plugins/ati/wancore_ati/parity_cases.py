"""Golden cases of tracks, of painting along them, and of the transformer that reads the result."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wancore.parity import Case
from wancore.transformer.canvas import Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore_ati.painting import painted
from wancore_ati.tracks import processed, read_tracks


def tracks(case: Case) -> Mapping[str, Tensor]:
    """The editor's array goes through a file."""
    with tempfile.TemporaryDirectory(prefix="wancore-parity-") as folder:
        file = Path(folder) / "tracks.npz"
        np.savez(file, array=case.inputs["tracks_file"].numpy())
        points = read_tracks(file).points
    config = case.config
    return {"tracks": processed(points, config["width"], config["height"], 81, Fraction(16))}


def patched(case: Case) -> Tensor:
    return painted(case.inputs["y"], case.inputs["tracks"], case.config["temperature"], case.config["topk"])


def patch_motion(case: Case) -> Mapping[str, Tensor]:
    return {"y": patched(case)}


@torch.no_grad()
def forward(case: Case) -> Mapping[str, Tensor]:
    given = case.inputs
    with case.checkpoint(case.config) as folder:
        model = load_transformer(folder)
    x = given["x"]
    layout = build_layout(Canvas(x.shape[1], x.shape[2] // 2, x.shape[3] // 2), model.frequencies)
    text = EmbeddedText.of(model, given["context"], given["clip_fea"][0])
    return {"x": predict(model, Inputs(torch.cat((x, patched(case))), given["t"], layout, text))}
