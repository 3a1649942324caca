"""The names that diffusers and transformers have for upstream's tensors."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from wancore.checkpoints.canonical import diffusers_map
from wancore.checkpoints.keymap import KeyMap
from wancore.testing.files import Arrays

BLOCK = "encoder.block.N.layer"
UMT5 = KeyMap.of(
    {
        "token_embedding.*": "shared.*",
        "blocks.N.{norm1,norm2}.*": BLOCK + ".{0,1}.layer_norm.*",
        "blocks.N.attn.{q,k,v,o}.*": BLOCK + ".0.SelfAttention.{q,k,v,o}.*",
        "blocks.N.pos_embedding.embedding.*": BLOCK + ".0.SelfAttention.relative_attention_bias.*",
        "blocks.N.ffn.{gate.0,fc1,fc2}.*": BLOCK + ".1.DenseReluDense.{wi_0,wi_1,wo}.*",
        "norm.*": "encoder.final_layer_norm.*",
    }
)
LAYER = "vision_model.encoder.layers.N"
CLIP = KeyMap.of(
    {
        "visual.patch_embedding.*": "vision_model.embeddings.patch_embedding.*",
        "visual.cls_embedding": "vision_model.embeddings.class_embedding",
        "visual.pos_embedding": "vision_model.embeddings.position_embedding.weight",
        "visual.{pre_norm,post_norm}.*": "vision_model.{pre_layrnorm,post_layernorm}.*",
        "visual.transformer.N.{norm1,norm2}.*": LAYER + ".{layer_norm1,layer_norm2}.*",
        "visual.transformer.N.attn.{to_q,to_k,to_v}.*": LAYER + ".self_attn.{q_proj,k_proj,v_proj}.*",
        "visual.transformer.N.attn.proj.*": LAYER + ".self_attn.out_proj.*",
        "visual.transformer.N.mlp.{0,2}.*": LAYER + ".mlp.{fc1,fc2}.*",
    }
)

INNER = {"0": "norm1", "2": "conv1", "3": "norm2", "6": "conv2"}  # of a residual block
OUTER = {
    "conv1.": "quant_conv.",
    "conv2.": "post_quant_conv.",
    **{
        f"{half}.{ours}.": f"{half}.{theirs}."
        for half in ("encoder", "decoder")
        for ours, theirs in (
            ("conv1", "conv_in"),
            ("head.0", "norm_out"),
            ("head.2", "conv_out"),
            ("middle.0", "mid_block.resnets.0"),
            ("middle.1", "mid_block.attentions.0"),
            ("middle.2", "mid_block.resnets.1"),
        )
    },
}


def transformer(arrays: Arrays) -> Arrays:
    return renamed(arrays, diffusers_map().inverse().rename)


def vae(arrays: Arrays) -> Arrays:
    """`AutoencoderKLWan`: 2.1's decoder comes in blocks of three and a resampler, its encoder does not."""
    return renamed(arrays, vae_name)


def vae_name(name: str) -> str:
    name = re.sub(r"\bresidual\.(\d)\.", lambda m: INNER[m[1]] + ".", name)
    name = name.replace(".shortcut.", ".conv_shortcut.")
    for ours, theirs in OUTER.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    if staged := re.fullmatch(r"(\w+)\.(down|up)samples\.(\d)\.(?:down|up)samples\.(\d)\.(.+)", name):
        half, way, stage, layer, rest = staged.groups()
        place = f"{way}sampler" if rest.startswith(("resample.", "time_conv.")) else f"resnets.{layer}"
        return f"{half}.{way}_blocks.{stage}.{place}.{rest}"
    half, _, number, rest = name.split(".", 3)
    if half == "encoder":
        return f"encoder.down_blocks.{number}.{rest}"
    stage, layer = divmod(int(number), 4)
    return f"decoder.up_blocks.{stage}.{'upsamplers.0' if layer == 3 else f'resnets.{layer}'}.{rest}"


def text_encoder(arrays: Arrays) -> Arrays:
    """`UMT5EncoderModel`."""
    return renamed(arrays, UMT5.rename)


def image_encoder(arrays: Arrays) -> Arrays:
    """`CLIPVisionModel`: query, key and value apart, no axes of size 1, nothing of the text half."""
    found: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if name in ("log_scale", "visual.head"):
            continue
        if ".to_qkv." in name:
            apart = (name.replace("to_qkv", part) for part in ("to_q", "to_k", "to_v"))
            found.update(zip(apart, np.split(array, 3), strict=True))
        else:
            single = {"visual.cls_embedding": 2, "visual.pos_embedding": 1}.get(name, 0)
            found[name] = array.reshape(array.shape[single:])
    return renamed(found, CLIP.rename)


def renamed(arrays: Arrays, name: Callable[[str], str]) -> Arrays:
    return {name(upstream): array for upstream, array in arrays.items()}
