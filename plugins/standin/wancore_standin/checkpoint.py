"""What a checkpoint tells about Stand-In, and its weights."""

from __future__ import annotations

import torch

from wancore.checkpoints.load import load_module
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.plugins.bases import require_text_only
from wancore.plugins.family import Base, Place
from wancore_standin.adapter import StandIn

DOWN = "blocks.0.self_attn.q_loras.down.weight"


def check(base: Base, weights: FileView) -> None:
    """Raises `CheckpointError` where the file was made for another base."""
    require_text_only(base, weights, "Stand-In")
    config = base.transformer
    width = weights.shape(DOWN)[1]
    if width != config.dim:
        problem = f"is for a model of width {width}, not {config.dim}"
        raise CheckpointError(weights.path, problem, DOWN)
    blocks = len({name.split(".")[1] for name in weights.entries})
    if blocks != config.num_layers:
        raise CheckpointError(weights.path, f"is for a model of {blocks} blocks, not {config.num_layers}")


def load(base: Base, weights: FileView, place: Place) -> StandIn:
    """The adapter of one expert. Raises `CheckpointError`."""
    check(base, weights)
    with torch.device("meta"):
        adapter = StandIn(base.transformer.dim, base.transformer.num_layers, weights.shape(DOWN)[0])
    load_module(adapter, weights, dtype=place.dtype, device=place.device)
    return adapter
