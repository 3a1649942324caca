"""The adapter: a direction per block, added to what self-attention reads.

Adding the difference of two prompts to a network's inner stream is known from language models as
activation steering (arXiv:2308.10248).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from wancore.checkpoints.load import load_module
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.plugins.family import Base, Place
from wancore.transformer.adapter import Adapter, Values
from wancore.transformer.context import Context

PREFIX = "film_look."
KEY = PREFIX + "directions"


class Steering(Adapter):
    """Its data is a strength; its weights are `directions` [blocks, D]."""

    lifetime = "window"
    frame_levels = True  # the frames of other families in front of the clip are left alone

    def __init__(self, blocks: int, dim: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.empty(blocks, dim), requires_grad=False)

    def values(self, context: Context) -> Sequence[Values]:
        in_clip = (context.layout.level_frame >= 0).float()[:, None]  # [K, 1]
        return [Values(shift=context.data * in_clip * d) for d in self.directions.float()]


def check(base: Base, weights: FileView) -> None:
    """Raises `CheckpointError` where the look was learned from a model of another shape."""
    wanted = (base.transformer.num_layers, base.transformer.dim)
    if weights.shape(KEY) != wanted:
        problem = f"is a look for {' x '.join(map(str, weights.shape(KEY)))} (blocks x width)"
        raise CheckpointError(weights.path, f"{problem}; this model has {wanted[0]} x {wanted[1]}", KEY)


def load(base: Base, weights: FileView, place: Place) -> Steering:
    with torch.device("meta"):
        adapter = Steering(base.transformer.num_layers, base.transformer.dim)
    load_module(adapter, weights.under(PREFIX), dtype=place.dtype, device=place.device)
    return adapter
