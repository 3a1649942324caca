"""The layout of diffusers: a folder for each part, model_index.json over them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from wancore.testing import names, sizes
from wancore.testing.files import Arrays, save, write_json, write_tokenizer
from wancore.testing.kinds import Kind

DIFFUSERS_FILE, TRANSFORMERS_FILE = "diffusion_pytorch_model.safetensors", "model.safetensors"
NONE = [None, None]


def write_pipeline(out: Path, kind: Kind, parts: Mapping[str, Arrays], tokenizer: bytes) -> None:
    """The same weights as upstream's layout, without a preview decoder, which diffusers does not know."""
    write_json(out / "model_index.json", pipeline_index(kind))
    write_json(out / "scheduler" / "scheduler_config.json", SCHEDULER)
    for i in range(kind.experts):
        folder = out / ("transformer", "transformer_2")[i]
        write_json(folder / "config.json", transformer_config(kind))
        save(folder / DIFFUSERS_FILE, names.transformer(parts[f"transformer{i}"]))
    write_json(out / "vae" / "config.json", vae_config(kind))
    save(out / "vae" / DIFFUSERS_FILE, names.vae(parts["vae"]))
    vocabulary = len(parts["text_encoder"]["token_embedding.weight"])
    write_json(out / "text_encoder" / "config.json", text_encoder_config(vocabulary))
    text_encoder = names.text_encoder(parts["text_encoder"])
    save(out / "text_encoder" / TRANSFORMERS_FILE, text_encoder, torch.bfloat16)
    write_tokenizer(out / "tokenizer", tokenizer)
    if kind.clip:
        write_json(out / "image_encoder" / "config.json", image_encoder_config())
        image_encoder = names.image_encoder(parts["image_encoder"])
        save(out / "image_encoder" / TRANSFORMERS_FILE, image_encoder, torch.float16)


def pipeline_index(kind: Kind) -> dict[str, Any]:
    image = kind.model_type in ("i2v", "flf2v")
    return {
        "_class_name": "WanImageToVideoPipeline" if image else "WanPipeline",
        "_diffusers_version": "0.36.0",
        "boundary_ratio": kind.boundary,
        "expand_timesteps": kind.model_type == "ti2v",
        **({"image_encoder": ["transformers", "CLIPVisionModel"] if kind.clip else NONE} if image else {}),
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "transformer_2": ["diffusers", "WanTransformer3DModel"] if kind.experts == 2 else NONE,
        "vae": ["diffusers", "AutoencoderKLWan"],
    }


SCHEDULER = {
    "_class_name": "UniPCMultistepScheduler",
    "_diffusers_version": "0.36.0",
    "flow_shift": 5.0,
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
}


def transformer_config(kind: Kind) -> dict[str, Any]:
    return {
        "_class_name": "WanTransformer3DModel",
        "_diffusers_version": "0.36.0",
        "patch_size": [1, 2, 2],
        "num_attention_heads": sizes.HEADS,
        "attention_head_dim": sizes.DIM // sizes.HEADS,
        "in_channels": kind.in_dim,
        "out_channels": kind.channels,
        "text_dim": sizes.TEXT,
        "freq_dim": sizes.FREQ,
        "ffn_dim": sizes.FFN,
        "num_layers": sizes.LAYERS,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
        "eps": 1e-06,
        "image_dim": sizes.IMAGE if kind.clip else None,
        "added_kv_proj_dim": sizes.DIM if kind.clip else None,
        "rope_max_seq_len": 1024,
        "pos_embed_seq_len": 2 * sizes.IMAGE_TOKENS if kind.positions else None,
    }


def vae_config(kind: Kind) -> dict[str, Any]:
    encoder, decoder = sizes.VAE_WIDTHS[kind.vae]
    of_2_2 = {
        "decoder_base_dim": decoder,
        "is_residual": True,
        "in_channels": 12,
        "out_channels": 12,
        "patch_size": 2,
        "scale_factor_spatial": 16,
    }
    return {
        "_class_name": "AutoencoderKLWan",
        "_diffusers_version": "0.36.0",
        "base_dim": encoder,
        "z_dim": kind.channels,
        "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_scales": [],
        "temperal_downsample": [False, True, True],
        "dropout": 0.0,
        **(of_2_2 if kind.vae == "2.2" else {}),
    }


def text_encoder_config(vocabulary: int) -> dict[str, Any]:
    return {
        "architectures": ["UMT5EncoderModel"],
        "model_type": "umt5",
        "vocab_size": vocabulary,
        "d_model": sizes.TEXT,
        "d_kv": sizes.TEXT // sizes.TEXT_HEADS,
        "d_ff": sizes.TEXT_FFN,
        "num_layers": sizes.TEXT_LAYERS,
        "num_heads": sizes.TEXT_HEADS,
        "relative_attention_num_buckets": sizes.BUCKETS,
        "relative_attention_max_distance": 128,
        "feed_forward_proj": "gated-gelu",
        "layer_norm_epsilon": 1e-06,
    }


def image_encoder_config() -> dict[str, Any]:
    return {
        "architectures": ["CLIPVisionModel"],
        "model_type": "clip_vision_model",
        "hidden_size": sizes.IMAGE,
        "intermediate_size": sizes.IMAGE_FFN,
        "num_hidden_layers": sizes.IMAGE_LAYERS,
        "num_attention_heads": sizes.IMAGE_HEADS,
        "image_size": sizes.IMAGE_SIZE,
        "patch_size": sizes.PATCH,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-05,
    }
