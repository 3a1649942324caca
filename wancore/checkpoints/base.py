"""The transformer's configuration: sizes from shapes, the rest from config.json, and both must agree."""

from __future__ import annotations

from dataclasses import asdict

from wancore.checkpoints.base_keys import BaseSpec, base_spec
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError, shown
from wancore.transformer.config import TransformerConfig

#: Width of a head in every published model; what a file without config.json is assumed to have.
HEAD_DIM = 128
#: Size -> what config.json calls it, upstream and in diffusers.
NAMES = {
    "dim": ("dim",),
    "ffn_dim": ("ffn_dim",),
    "num_heads": ("num_heads", "num_attention_heads"),
    "head_dim": ("attention_head_dim",),
    "num_layers": ("num_layers",),
    "in_dim": ("in_dim", "in_channels"),
    "out_dim": ("out_dim", "out_channels"),
    "patch_size": ("patch_size",),
    "freq_dim": ("freq_dim",),
    "text_dim": ("text_dim",),
    "text_len": ("text_len",),
    "image_dim": ("image_dim",),
    "image_positions": ("pos_embed_seq_len",),
    "eps": ("eps",),
}


def transformer_config(view: FileView) -> TransformerConfig:
    """The configuration of the base transformer in a canonical view.

    Sizes come from the shapes, `num_heads`, `text_len` and `eps` from config.json; without one the
    heads are `HEAD_DIM` wide. Raises `CheckpointError` where config.json contradicts the shapes, or
    where the number of heads cannot be told.
    """
    spec = base_spec(view)
    check_agreement(view, spec)
    return TransformerConfig(
        **asdict(spec),
        num_heads=num_heads(view, spec.dim),
        text_len=config_int(view, "text_len") or TransformerConfig.text_len,
        eps=config_eps(view),
    )


def check_agreement(view: FileView, spec: BaseSpec) -> None:
    for size, read in asdict(spec).items():
        name, value = config_value(view, size)
        if value is None or (isinstance(value, list) and tuple(value) == read) or value == read:
            continue
        if size == "text_dim" and read == 0:  # a model without text keeps the field its class has
            continue
        problem = f"config.json says {name} = {shown(value)}, the tensors have {shown(read)}"
        raise CheckpointError(view.path, problem)


def num_heads(view: FileView, dim: int) -> int:
    heads = config_int(view, "num_heads")
    if heads is None and dim % HEAD_DIM == 0:
        return dim // HEAD_DIM
    if heads is None:
        problem = f"does not tell its number of heads: {dim} is no multiple of {HEAD_DIM}"
        raise CheckpointError(view.path, f"{problem}; put a config.json with num_heads beside it")
    if dim % heads or dim // heads % 2:
        problem = f"config.json says num_heads = {heads}, which does not split {dim} into even widths"
        raise CheckpointError(view.path, problem)
    width = config_int(view, "head_dim")
    if width not in (None, dim // heads):
        problem = f"config.json says {heads} heads of {width}, the tensors have a width of {dim}"
        raise CheckpointError(view.path, problem)
    return heads


def config_int(view: FileView, size: str) -> int | None:
    name, value = config_value(view, size)
    if value is not None and (type(value) is not int or value < 1):
        raise CheckpointError(
            view.path, f"config.json: {name}: got {shown(value)}; accepted: a number above 0"
        )
    return value


def config_eps(view: FileView) -> float:
    name, value = config_value(view, "eps")
    if value is None:
        return TransformerConfig.eps
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise CheckpointError(view.path, f"config.json: {name}: got {shown(value)}; accepted: 0 to 1")
    return float(value)


def config_value(view: FileView, size: str) -> tuple[str, object]:
    """(name, value) that config.json gives for a size; (name, None) where it is silent.

    Raises `CheckpointError` if it gives two different ones.
    """
    given = {n: view.config[n] for n in NAMES[size] if view.config and view.config.get(n) is not None}
    if len(given) > 1 and len(set(map(repr, given.values()))) > 1:
        raise CheckpointError(view.path, f"config.json contradicts itself: {shown(given)}")
    return next(iter(given.items()), (NAMES[size][0], None))
