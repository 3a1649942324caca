"""Handlers of the golden cases: each runs the encoders' own code on the case's checkpoint and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange

from wancore.encoders.audio import normalise_waveform
from wancore.encoders.image import crop_center, crop_disabled, load_image_encoder
from wancore.encoders.prompts import clean_prompt, split_weights
from wancore.encoders.umt5 import load_umt5, real_tokens
from wancore.encoders.umt5_network import position_buckets
from wancore.encoders.wav2vec2 import load_wav2vec2
from wancore.encoders.whisper import whisper_groups as grouped
from wancore.parity import Case, Result
from wancore.parity.case import written_checkpoint

Outputs = dict[str, torch.Tensor]


def umt5_wan(case: Case) -> Outputs:
    """The encoder's output at every position, and the zero-padded context the transformer receives."""
    ids, mask = case.inputs["ids"], case.inputs["mask"]
    with case.checkpoint() as folder:
        states = load_umt5(folder, **case.place)(ids, mask).float()
    return {"encoder": states, "context": zero_padded(states, mask)}


def umt5_hf(case: Case) -> Outputs:
    """The encoder's output at real tokens, zero at padding."""
    ids, mask = case.inputs["ids"], case.inputs["mask"]
    with case.checkpoint() as folder:
        states = load_umt5(folder, **case.place)(ids, mask).float()
    return {"encoder": zero_padded(states, mask)}


def zero_padded(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    rows = states.shape[1]
    return torch.stack([F.pad(kept, (0, 0, 0, rows - len(kept))) for kept in real_tokens(states, mask)])


def umt5_buckets(case: Case) -> Outputs:
    """The bucket of every key - query offset, read off as the bias of a table that holds its own index."""
    buckets, length = case.config["num_buckets"], case.config["length"]
    weights = {name: np.ones(shape, np.float32) for name, shape in one_wide_umt5().items()}
    table = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    weights[table] = np.arange(buckets, dtype=np.float32)[:, None]
    config = {"relative_attention_max_distance": case.config["max_distance"]}
    with written_checkpoint(weights, config) as folder:
        encoder = load_umt5(folder, dtype=torch.float32)
    places = position_buckets(length, buckets, encoder.config.max_distance)
    bias = encoder.blocks[0].get_submodule("pos_embedding")(places)[..., 0]  # [query, key]
    return {"bucket_by_offset": torch.cat([bias[-1, :-1], bias[0]]).int()}


def one_wide_umt5() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the smallest encoder, without its table of position biases."""
    layer = "encoder.block.0.layer"
    matrices = [f"{layer}.0.SelfAttention.{part}.weight" for part in "qkvo"]
    matrices += [f"{layer}.1.DenseReluDense.{part}.weight" for part in ("wi_0", "wi_1", "wo")]
    gains = [
        f"{layer}.0.layer_norm.weight",
        f"{layer}.1.layer_norm.weight",
        "encoder.final_layer_norm.weight",
    ]
    return {"shared.weight": (2, 1), **dict.fromkeys(matrices, (1, 1)), **dict.fromkeys(gains, (1,))}


def text_clean(case: Case) -> Result:
    pairs = [[raw, clean_prompt(raw)] for raw, _ in case.config["pairs"]]
    return Result({"count": counted(pairs)}, {"pairs": pairs})


def prompt_weights(case: Case) -> Result:
    found = [(prompt, split_weights(prompt)) for prompt, _, _ in case.config["pairs"]]
    pairs = [[prompt, split.text, split.weights] for prompt, split in found]
    return Result({"count": counted(pairs)}, {"pairs": pairs})


def counted(pairs: list[list[Any]]) -> torch.Tensor:
    return torch.tensor([len(pairs)], dtype=torch.int32)


def clip_visual(case: Case) -> Outputs:
    """Upstream keys and preprocessing, one image in [-1, 1]."""
    with case.checkpoint(clip_json(case.config)) as folder:
        return {"tokens": load_image_encoder(folder, **case.place).encode([case.inputs["image"]])}


def clip_visual_hf(case: Case) -> Outputs:
    """Hugging Face keys, pixels already normalised."""
    with case.checkpoint(clip_json(case.config)) as folder:
        return {"tokens": load_image_encoder(folder, **case.place).encode_pixels(case.inputs["pixels"][None])}


def clip_vision(case: Case) -> Outputs:
    """Several images of different sizes, named `image_*`, through upstream keys and preprocessing.

    For a family that owns such a kind; the sizes stand under `vit` in its config.
    """
    images = [case.inputs[name] for name in sorted(case.inputs) if name.startswith("image_")]
    with case.checkpoint(clip_json(case.config["vit"])) as folder:
        return {"features": load_image_encoder(folder, **case.place).encode(images)}


def clip_json(config: Mapping[str, Any]) -> dict[str, Any]:
    """A case's constructor arguments that shapes do not tell, as a config.json states them."""
    names = {"num_heads": "num_attention_heads", "activation": "hidden_act", "norm_eps": "layer_norm_eps"}
    return {ours: config[theirs] for theirs, ours in names.items() if theirs in config}


def clip_preprocess_comfy(case: Case) -> Outputs:
    image, size = case.inputs["image"], case.config["size"]
    return {"crop_center": crop_center(image, size), "crop_disabled": crop_disabled(image, size)}


def normalise_audio(case: Case) -> Outputs:
    audio = case.inputs["audio"]
    return {
        str(i): normalise_waveform(audio) if run["do_normalize"] else audio
        for i, run in enumerate(case.config["runs"])
    }


def wav2vec2_interp(case: Case) -> Outputs:
    """Hidden states with and without resampling to video frames."""
    audio = case.inputs["audio"]
    with case.checkpoint(case.config["model"]) as folder:
        encoder = load_wav2vec2(folder, **case.place)
        plain, resampled = encoder(audio), encoder(audio, frames=case.config["seq_len"])
    return {
        "all_layers_plain": plain,
        "last_hidden_plain": plain[-1],
        "frames_layers": rearrange(resampled[1:], "layer frame dim -> frame layer dim"),
    }


def whisper_groups(case: Case) -> Outputs:
    return {"audio": grouped(case.inputs["hidden"])}
