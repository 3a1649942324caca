"""The UMT5 text encoder in the files people have: key layouts, sizes from shapes, loading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from wancore.checkpoints import FileView
from wancore.checkpoints.keymap import KeyMap
from wancore.encoders.build import as_view, build, declared
from wancore.encoders.keys import Layout, canonical, count, shape
from wancore.encoders.umt5_network import Umt5, Umt5Config
from wancore.errors import CheckpointError, shown

UPSTREAM = Layout(
    anchor="token_embedding.weight",
    names=KeyMap.of(
        {
            "blocks.N.ffn.gate.0.weight": "blocks.N.ffn.gate.weight",
            "blocks.N.pos_embedding.embedding.weight": "blocks.N.pos_embedding.weight",
        },
        unused=["spiece_model"],
    ),
)
ATTENTION = "encoder.block.N.layer.0.SelfAttention"
ENCODER = {
    "encoder.block.N.layer.{0,1}.layer_norm.weight": "blocks.N.{norm1,norm2}.weight",
    ATTENTION + ".{q,k,v,o}.weight": "blocks.N.attn.{q,k,v,o}.weight",
    f"{ATTENTION}.relative_attention_bias.weight": "blocks.N.pos_embedding.weight",
    "encoder.block.N.layer.1.DenseReluDense.{wi_0,wi_1,wo}.weight": "blocks.N.ffn.{gate,fc1,fc2}.weight",
    "encoder.final_layer_norm.weight": "norm.weight",
}
# Files of a whole UMT5 also hold its decoder. The one embedding goes by either name, or by both.
SHARED, TIED = "shared.weight", "encoder.embed_tokens.weight"
HUGGING_FACE_UNUSED = ["decoder.**", "lm_head.weight", "spiece_model"]
HUGGING_FACE = Layout(
    anchor=SHARED,
    names=KeyMap.of({SHARED: "token_embedding.weight", **ENCODER}, unused=[TIED, *HUGGING_FACE_UNUSED]),
)
HUGGING_FACE_TIED = Layout(
    anchor=TIED, names=KeyMap.of({TIED: "token_embedding.weight", **ENCODER}, unused=HUGGING_FACE_UNUSED)
)
LLAMA_CPP = Layout(
    anchor="enc.output_norm.weight",
    names=KeyMap.of(
        {
            "token_embd.weight": "token_embedding.weight",
            "enc.blk.N.{attn_norm,ffn_norm}.weight": "blocks.N.{norm1,norm2}.weight",
            "enc.blk.N.attn_{q,k,v,o}.weight": "blocks.N.attn.{q,k,v,o}.weight",
            "enc.blk.N.attn_rel_b.weight": "blocks.N.pos_embedding.weight",
            "enc.blk.N.ffn_{gate,up,down}.weight": "blocks.N.ffn.{gate,fc1,fc2}.weight",
            "enc.output_norm.weight": "norm.weight",
        },
        unused=["dec.**"],
    ),
)
LAYOUTS = (UPSTREAM, HUGGING_FACE, HUGGING_FACE_TIED, LLAMA_CPP)

#: Of a config.json: the field of `Umt5Config`, its types, and what is accepted.
STATED: dict[str, tuple[str, tuple[type, ...], str]] = {
    "relative_attention_max_distance": ("max_distance", (int,), "a whole number above 0"),
    "layer_norm_epsilon": ("eps", (int, float), "a number above 0"),
}


def real_tokens(states: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    """states [B, L, width], mask [B, L] -> for each of the B, its rows at real tokens [n, width]."""
    return [rows[kept] for rows, kept in zip(states, mask.bool().to(states.device), strict=True)]


def load_umt5(
    source: FileView | Path | str,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
) -> Umt5:
    """The encoder from a file in any of the layouts above. Raises `CheckpointError`.

    float16 overflows in this network; it was trained and is run in bfloat16.
    """
    view = canonical(as_view(source), LAYOUTS, "UMT5 text encoder")
    config = umt5_config(view)
    return build(lambda: Umt5(config), view, dtype, device)


def umt5_config(view: FileView) -> Umt5Config:
    """The sizes of the encoder in a view with canonical names. Raises `CheckpointError`."""
    vocabulary, width = shape(view, "token_embedding.weight", 2)
    layers = count(view, "blocks")
    check_biases(view, layers)
    buckets, heads = shape(view, "blocks.0.pos_embedding.weight", 2)
    inner, _ = shape(view, "blocks.0.attn.q.weight", 2)
    hidden, _ = shape(view, "blocks.0.ffn.fc1.weight", 2)
    if inner % heads:
        raise CheckpointError(view.path, f"has {heads} attention heads in a width of {inner}")
    if buckets < 4 or buckets % 4:
        raise CheckpointError(view.path, f"has {buckets} position buckets; accepted: a multiple of 4")
    sizes = Umt5Config(vocabulary, width, heads, inner, hidden, layers, buckets)
    config = replace(sizes, **stated_numbers(view))
    if config.max_distance <= buckets // 4:
        problem = f"has a relative_attention_max_distance of {config.max_distance}"
        raise CheckpointError(view.path, f"{problem}; accepted: more than {buckets // 4}")
    return config


def stated_numbers(view: FileView) -> dict[str, Any]:
    """What only a config.json tells, by the fields of `Umt5Config`. Raises `CheckpointError`."""
    found = {}
    for name, value in declared(view.config or {}, STATED).items():
        field, types, accepted = STATED[name]
        if type(value) not in types or not value > 0:
            problem = f"has {name} {shown(value)} in its config.json; accepted: {accepted}"
            raise CheckpointError(view.path, problem)
        found[field] = value
    return found


def check_biases(view: FileView, layers: int) -> None:
    """Tells T5, which has one position bias for all layers, from UMT5."""
    biases = sum(name.endswith(".pos_embedding.weight") for name in view.entries)
    if layers > 1 and biases == 1:
        problem = f"is a T5 encoder (1 position bias for {layers} layers); accepted: UMT5, with one per layer"
        raise CheckpointError(view.path, problem)
