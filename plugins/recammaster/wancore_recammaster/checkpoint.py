"""What a checkpoint tells about ReCamMaster, and its weights."""

from __future__ import annotations

import torch

from wancore.checkpoints.load import load_module
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.plugins.bases import require_text_only
from wancore.plugins.family import Base, Place
from wancore_recammaster.adapter import ReCamMaster
from wancore_recammaster.recognise import CAMERA


def check_base(base: Base, weights: FileView) -> None:
    """Raises `CheckpointError` where the module was made for another base."""
    require_text_only(base, weights, "ReCamMaster")
    config = base.transformer
    if weights.shape(CAMERA)[0] != config.dim:
        problem = (
            f"is a ReCamMaster of width {weights.shape(CAMERA)[0]}; the base has a width of {config.dim}"
        )
        raise CheckpointError(weights.path, problem)


def load(base: Base, weights: FileView, place: Place) -> ReCamMaster:
    """The adapter, from the keys it owns. Raises `CheckpointError`."""
    with torch.device("meta"):
        adapter = ReCamMaster(base.transformer.dim, base.transformer.num_layers)
    load_module(adapter, weights, dtype=place.dtype, device=place.device)
    return adapter
