"""Any one tensor of an encoder's file missing, misshapen or misnamed is a `CheckpointError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    UMT5EncoderModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from wancore.encoders.clip import load_clip
from wancore.encoders.umt5 import load_umt5
from wancore.encoders.wav2vec2 import load_wav2vec2
from wancore.encoders.whisper import load_whisper
from wancore.errors import CheckpointError

Tensors = Mapping[str, torch.Tensor]


def clip() -> CLIPVisionModel:
    sizes = {"hidden_size": 80, "num_attention_heads": 1, "num_hidden_layers": 2, "intermediate_size": 8}
    return CLIPVisionModel(CLIPVisionConfig(image_size=28, patch_size=14, hidden_act="gelu", **sizes))


def wav2vec2() -> Wav2Vec2Model:
    sizes = {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 1, "intermediate_size": 8}
    conv = {"conv_dim": [4] * 7, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    return Wav2Vec2Model(Wav2Vec2Config(**sizes, **conv, mask_time_prob=0.0))


def whisper() -> WhisperForConditionalGeneration:
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    encoder = {"d_model": 64, "encoder_layers": 1, "encoder_attention_heads": 1, "encoder_ffn_dim": 8}
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 1, "decoder_ffn_dim": 8, "vocab_size": 8}
    return WhisperForConditionalGeneration(
        WhisperConfig(**ids, **encoder, **decoder, num_mel_bins=8, max_source_positions=10)
    )


# What the encoders leave out: damage there does not matter to them.
LEFT_OUT = ("model.decoder.", "proj_out.", "vision_model.encoder.layers.1.", "encoder.layers.1.")


@pytest.fixture(scope="module")
def files(umt5: UMT5EncoderModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensors]:
    """Each model's tensors as the library writes them."""
    result = {}
    for name, model in (("umt5", umt5), ("clip", clip()), ("wav2vec2", wav2vec2()), ("whisper", whisper())):
        folder = tmp_path_factory.mktemp(name)
        model.save_pretrained(folder)
        result[name] = load_file(folder / "model.safetensors")
    return result


LOADERS: dict[str, Callable[..., Any]] = {
    "umt5": load_umt5,
    "clip": load_clip,
    "wav2vec2": load_wav2vec2,
    "whisper": load_whisper,
}
shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)


@pytest.mark.parametrize("name", LOADERS)
def test_the_whole_file_loads(files: dict[str, Tensors], tmp_path: Path, name: str) -> None:
    save_file(dict(files[name]), tmp_path / "encoder.safetensors")
    LOADERS[name](tmp_path / "encoder.safetensors")


def own_shape(name: str, shape: tuple[int, ...]) -> Callable[[tuple[int, ...]], bool]:
    """Whether another shape fits as well: the convolutions over the waveform may have any width but 0."""
    if "feature_extractor" in name and name.endswith("conv.weight"):
        return lambda other: other[:2] == shape[:2] and len(other) == 3 and other[2] > 0
    return lambda other: other == shape


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("name", LOADERS)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_one_damaged_tensor(
    files: dict[str, Tensors], tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    tensors = dict(files[name])
    victim = data.draw(st.sampled_from(sorted(key for key in tensors if not key.startswith(LEFT_OUT))))
    original = tensors.pop(victim)
    same = own_shape(victim, tuple(original.shape))
    shape = data.draw(st.one_of(st.none(), shapes.filter(lambda shape: not same(shape))))
    if shape is not None:
        tensors[victim] = torch.zeros(shape)
    path = tmp_path_factory.mktemp("damaged") / "encoder.safetensors"
    save_file(tensors, path)
    with pytest.raises(CheckpointError):
        LOADERS[name](path)
