"""Loading the adapter's checkpoints."""

from __future__ import annotations

import torch

from wancore.checkpoints.load import load_module
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.plugins.family import Base, Place
from wancore_talking.adapter import Sizes, TalkingAdapter
from wancore_talking.keys import NAME
from wancore_talking.projection import WINDOW, AudioProjection
from wancore_talking.recognise import projection_name


def check_fits(base: Base, weights: FileView) -> None:
    """Raises `CheckpointError` where the adapter was made for a model of another shape."""
    config, name = base.transformer, "blocks.0.audio_cross_attn.q_linear.weight"
    if name not in weights or not projection_name(weights):
        raise CheckpointError(weights.path, "holds no whole audio adapter")
    width = weights.shape(name)[0]
    if width != config.dim:
        raise CheckpointError(weights.path, f"is for a model of width {width}, not {config.dim}", name)
    numbers = {int(key.split(".")[1]) for key in weights.entries if key.startswith("blocks.")}
    if len(numbers) != config.num_layers:
        problem = f"is for a model of {len(numbers)} blocks, not {config.num_layers}"
        raise CheckpointError(weights.path, problem)


def load_adapter(base: Base, weights: FileView, place: Place) -> TalkingAdapter:
    """The adapter of one expert. Raises `CheckpointError`."""
    check_fits(base, weights)
    config, found = base.transformer, projection_name(weights)
    view = weights.renamed({key: key.replace(found, NAME, 1) for key in weights.entries})
    with torch.device("meta"):
        adapter = TalkingAdapter(config.dim, config.num_heads, config.num_layers, sizes_of(view))
    load_module(adapter, view, dtype=place.dtype, device=place.device)
    return adapter.eval()


def load_projection(view: FileView) -> AudioProjection:
    """The projection alone, from a file that holds nothing else (float32, on the CPU)."""
    sizes = sizes_of(view)
    with torch.device("meta"):
        projection = AudioProjection(sizes.features, sizes.hidden, sizes.tokens, sizes.audio_dim)
    load_module(projection, view.under(f"{NAME}."))
    return projection.eval()


def sizes_of(view: FileView) -> Sizes:
    hidden, features = view.shape(f"{NAME}.proj1.weight")
    (audio_dim,) = view.shape(f"{NAME}.norm.weight")
    return Sizes(features // WINDOW, hidden, view.shape(f"{NAME}.proj3.weight")[0] // audio_dim, audio_dim)
