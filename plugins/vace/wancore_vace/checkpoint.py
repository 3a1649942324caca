"""What a checkpoint tells about VACE: which blocks it hints at, whether it fits a base."""

from __future__ import annotations

import re

import torch

from wancore.checkpoints.load import load_module
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError, InvalidInput
from wancore.plugins.bases import require_text_only
from wancore.plugins.family import Base, Place
from wancore_vace.adapter import Vace
from wancore_vace.parameters import Parameters
from wancore_vace.recognise import PATCH
from wancore_vace.roles import sources

BLOCK = re.compile(r"vace_blocks\.(\d+)\.after_proj\.weight")


def hinted_layers(weights: FileView, blocks: int) -> tuple[int, ...]:
    """The base block that each VACE block hints at: as config.json says, else evenly spaced.

    Raises `CheckpointError` where that is impossible.
    """
    count = len([name for name in weights.entries if BLOCK.fullmatch(name)])
    declared = (weights.config or {}).get("vace_layers")
    if declared is None:
        if not 0 < count <= blocks:
            raise CheckpointError(weights.path, f"has {count} VACE blocks for a base of {blocks} blocks")
        spacing = blocks // count
        return tuple(range(0, spacing * count, spacing))
    layers = declared if isinstance(declared, list) else [declared]
    whole = all(type(i) is int and 0 <= i < blocks for i in layers)
    if not whole or layers != sorted(set(layers)) or len(layers) != count:
        problem = (
            f"config.json: vace_layers: got {layers}; accepted: {count} rising block numbers below {blocks}"
        )
        raise CheckpointError(weights.path, problem)
    return tuple(layers)


def check_base(base: Base, weights: FileView) -> None:
    """Raises `CheckpointError` where the module was made for another base."""
    require_text_only(base, weights, "VACE")
    config = base.transformer
    dim, channels = weights.shape(PATCH)[:2]
    wanted = 2 * base.latent_channels + base.spatial_stride**2
    if channels != wanted:
        problem = f"reads {channels} channels; with this model's autoencoder the context has {wanted}"
        raise CheckpointError(weights.path, problem, PATCH)
    if dim != config.dim:
        raise CheckpointError(weights.path, f"is a VACE of width {dim}; the base has a width of {config.dim}")
    hinted_layers(weights, config.num_layers)


def load(base: Base, weights: FileView, place: Place) -> Vace:
    """The adapter, from the keys it owns. Raises `CheckpointError`."""
    layers = hinted_layers(weights, base.transformer.num_layers)
    with torch.device("meta"):
        adapter = Vace(base.transformer, weights.shape(PATCH)[1], layers)
    load_module(adapter, weights, dtype=place.dtype, device=place.device)
    return adapter


def check_layers(parameters: Parameters, weights: FileView) -> None:
    """Factors of blocks fit the blocks there are. Raises `InvalidInput`."""
    count = len([name for name in weights.entries if BLOCK.fullmatch(name)])
    for named in sources(parameters):
        factors = getattr(named.source, "layer_strengths", None)
        if factors is not None and len(factors) != count:
            raise InvalidInput(
                f"{named.field}.layer_strengths", factors, f"{count} numbers, one for each VACE block"
            )
