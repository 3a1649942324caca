"""The layout of the Wan-AI repositories, with safetensors files in place of pickles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from wancore.testing import sizes
from wancore.testing.files import Arrays, save, write_json, write_tokenizer
from wancore.testing.kinds import Kind

EXPERT_FOLDERS = ("high_noise_model", "low_noise_model")
MODEL = "diffusion_pytorch_model"


def write_upstream(out: Path, kind: Kind, parts: Mapping[str, Arrays], tokenizer: bytes) -> None:
    """One folder; the transformer in it, or two experts in folders below it."""
    for i in range(kind.experts):
        folder = out / EXPERT_FOLDERS[i] if kind.experts == 2 else out
        write_json(folder / "config.json", transformer_config(kind))
        write_transformer(folder, parts[f"transformer{i}"], shards=3 if kind.model_type == "ti2v" else 1)
    save(out / f"Wan{kind.vae}_VAE.safetensors", parts["vae"])
    save(out / "models_t5_umt5-xxl-enc-bf16.safetensors", parts["text_encoder"], torch.bfloat16)
    save(out / f"taew{kind.vae.replace('.', '_')}.safetensors", parts["preview"])
    if kind.clip:
        name = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.safetensors"
        save(out / name, parts["image_encoder"], torch.float16)
    write_tokenizer(out / "google" / "umt5-xxl", tokenizer)


def write_transformer(folder: Path, arrays: Arrays, shards: int) -> None:
    if shards == 1:
        return save(folder / f"{MODEL}.safetensors", arrays)
    files = [f"{MODEL}-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    weight_map = {name: files[i * shards // len(arrays)] for i, name in enumerate(sorted(arrays))}
    for file in files:
        save(folder / file, {name: arrays[name] for name, home in weight_map.items() if home == file})
    size = sum(array.nbytes for array in arrays.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    return write_json(folder / f"{MODEL}.safetensors.index.json", index)


def transformer_config(kind: Kind) -> dict[str, Any]:
    return {
        "_class_name": "WanModel",
        "_diffusers_version": "0.30.0",
        "dim": sizes.DIM,
        "eps": 1e-06,
        "ffn_dim": sizes.FFN,
        "freq_dim": sizes.FREQ,
        "in_dim": kind.in_dim,
        "model_type": kind.model_type,
        "num_heads": sizes.HEADS,
        "num_layers": sizes.LAYERS,
        "out_dim": kind.channels,
        "text_len": 512,
    }
