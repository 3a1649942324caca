from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Model

from wancore.encoders import load_wav2vec2, wav2vec2, wav2vec2_long
from wancore.encoders.wav2vec2 import Wav2Vec2Encoder
from wancore.errors import CheckpointError, InvalidInput

BASE: dict[str, Any] = {
    "hidden_size": 128,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 8,
}
LARGE: dict[str, Any] = {
    **BASE,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "do_stable_layer_norm": True,
}
both = pytest.mark.parametrize("sizes", [BASE, LARGE], ids=["post-norm", "pre-norm"])


def waveform(samples: int = 4000) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(3))


def network(sizes: dict[str, Any]) -> Wav2Vec2Model:
    torch.manual_seed(0)
    return Wav2Vec2Model(Wav2Vec2Config(**sizes)).eval()


@both
def test_a_folder_of_the_library_gives_its_hidden_states(sizes: dict[str, Any], tmp_path: Path) -> None:
    model = network(sizes)
    model.save_pretrained(tmp_path)
    states = load_wav2vec2(tmp_path)(waveform())
    with torch.no_grad():
        expected = model(waveform()[None], output_hidden_states=True)
    torch.testing.assert_close(states[:-1], torch.cat(expected.hidden_states[:-1]))
    torch.testing.assert_close(states[-1:], expected.last_hidden_state)
    assert states.shape == (4, 12, 128)


@both
def test_a_single_file_needs_no_config(sizes: dict[str, Any], tmp_path: Path) -> None:
    network(sizes).save_pretrained(tmp_path / "model")
    tensors = load_file(tmp_path / "model" / "model.safetensors")
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in tensors.items()
    }
    assert old.keys() != tensors.keys()
    save_file(old, tmp_path / "single.safetensors")
    found = load_wav2vec2(tmp_path / "single.safetensors")
    assert torch.equal(found(waveform()), load_wav2vec2(tmp_path / "model")(waveform()))


def test_the_head_of_a_recogniser_is_left_out(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**BASE)).eval()
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = model.wav2vec2(waveform()[None]).last_hidden_state
    torch.testing.assert_close(load_wav2vec2(tmp_path)(waveform())[-1:], expected)


def test_resampling_comes_before_the_projection(tmp_path: Path) -> None:
    network(BASE).save_pretrained(tmp_path)
    encoder = load_wav2vec2(tmp_path)
    features = encoder.conv_features(waveform())
    assert features.shape == (12, 16)
    doubled = torch.nn.functional.interpolate(features.T[None], 23, mode="linear", align_corners=True)[0].T
    states = encoder(waveform(), frames=23)
    assert states.shape == (4, 23, 128)
    torch.testing.assert_close(states, encoder.hidden_states(doubled))
    torch.testing.assert_close(encoder(waveform(), frames=12), encoder(waveform()))


def test_the_shortest_audio_makes_one_feature(tmp_path: Path) -> None:
    network(BASE).save_pretrained(tmp_path)
    encoder = load_wav2vec2(tmp_path)
    assert encoder.conv_features(waveform(400)).shape == (1, 16)
    with pytest.raises(InvalidInput, match=r"audio: got .*\[399\]"):
        encoder(waveform(399))


def test_heads_of_an_unusual_width_need_a_config(tmp_path: Path) -> None:
    network({**BASE, "hidden_size": 24, "num_attention_heads": 4}).save_pretrained(tmp_path)
    assert load_wav2vec2(tmp_path)(waveform()).shape == (4, 12, 24)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match="number of attention heads"):
        load_wav2vec2(tmp_path)


def test_other_strides_come_from_the_config(tmp_path: Path) -> None:
    network({**BASE, "conv_stride": [5, 2, 2, 2, 2, 2, 1]}).save_pretrained(tmp_path)
    assert load_wav2vec2(tmp_path)(waveform()).shape == (4, 23, 128)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "conv_stride": [5, 2]}))
    with pytest.raises(CheckpointError, match="do not fit"):
        load_wav2vec2(tmp_path)


@both
def test_long_sound_goes_through_in_stretches(sizes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, sound = Wav2Vec2Encoder(network(sizes)), waveform(12_345)
    whole = encoder.conv_features(sound)
    for module in (wav2vec2, wav2vec2_long):
        monkeypatch.setattr(module, "STRETCH", 7)
    stretched = encoder.conv_features(sound)
    assert stretched.shape == whole.shape
    torch.testing.assert_close(stretched, whole, atol=1e-5, rtol=1e-5)
