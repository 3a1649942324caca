"""The adapter's checkpoints: recognising and loading them.

Single-speaker, multi-speaker and both families' files have the same keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from wancore.checkpoints.base_keys import base_patterns, has_base
from wancore.checkpoints.canonical import to_canonical
from wancore.checkpoints.claim import Claim, hinted
from wancore.checkpoints.fingerprint import all_fit
from wancore.checkpoints.load import load_module
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.plugins.family import Base, Place
from wancore_talking.adapter import Sizes, TalkingAdapter
from wancore_talking.keys import ALIAS, KEYS, NAME
from wancore_talking.projection import WINDOW, AudioProjection

MERGED_ALIKE = "skyreels"  # V3 A2V: a whole model with these keys


def recognise(file: FileView, family: str, words: Sequence[str], others: Sequence[str]) -> Claim | None:
    """A claim of `family` on an adapter, alone or merged with its base.

    `words`: in the file's name they decide for it. `others`: families whose files have the same keys.
    """
    view = to_canonical(file)
    if "blocks.0.audio_cross_attn.kv_linear.weight" not in view or not projection_name(view):
        return None
    whole = has_base(view)
    if not all_fit((*KEYS, *(base_patterns() if whole else ())), view.names):
        return None
    return Claim(
        "merged" if whole else "module",
        family,
        needs=() if whole else ("a Wan 2.1 image-to-video model",),
        alternatives=(*others, MERGED_ALIKE) if whole else tuple(others),
        decided_by="hint" if hinted(file.path, *words) else "keys",
    )


def projection_name(view: FileView) -> str:
    """What the file calls the audio projection; '' if it has none of this family."""
    return next((name for name in (NAME, ALIAS) if f"{name}.proj1_vf.weight" in view), "")


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
