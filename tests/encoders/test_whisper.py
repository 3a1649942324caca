from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from wancore.encoders import load_whisper, whisper_groups
from wancore.errors import CheckpointError, InvalidInput

POSITIONS = 50  # one second
PIECE = POSITIONS * 320


@pytest.fixture(scope="module")
def model() -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=16,
        num_mel_bins=80,
        d_model=128,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        max_source_positions=POSITIONS,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return WhisperForConditionalGeneration(config).eval()


@pytest.fixture
def folder(model: WhisperForConditionalGeneration, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path / "whisper")
    return tmp_path / "whisper"


def waveform(samples: int) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(5)) * 0.1


@torch.no_grad()
def reference(model: WhisperForConditionalGeneration, audio: torch.Tensor) -> torch.Tensor:
    """All levels of one piece, [levels, positions, D]."""
    extractor = WhisperFeatureExtractor(feature_size=80, chunk_length=1)
    mel = extractor(audio.numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    return torch.cat(model.model.encoder(mel, output_hidden_states=True).hidden_states)


def test_one_piece_gives_the_library_s_hidden_states(
    model: WhisperForConditionalGeneration, folder: Path
) -> None:
    audio = waveform(9000)
    states = load_whisper(folder)(audio)
    assert states.shape == (2 * (9000 // 640), 4, 128)
    torch.testing.assert_close(states.transpose(0, 1), reference(model, audio)[:, :28])


def test_long_audio_is_encoded_in_pieces(model: WhisperForConditionalGeneration, folder: Path) -> None:
    audio = waveform(2 * PIECE + 1300)
    states = load_whisper(folder)(audio).transpose(0, 1)
    pieces = [
        reference(model, part) for part in (audio[:PIECE], audio[PIECE : 2 * PIECE], audio[2 * PIECE :])
    ]
    torch.testing.assert_close(states, torch.cat(pieces, dim=1)[:, : 2 * (len(audio) // 640)])


@pytest.mark.parametrize("prefix", ["", "encoder.", "model.encoder."])
def test_an_encoder_without_decoder_and_config(folder: Path, tmp_path: Path, prefix: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    encoder = {
        prefix + name.removeprefix("model.encoder."): tensor
        for name, tensor in tensors.items()
        if name.startswith("model.encoder.")
    }
    save_file(encoder, tmp_path / "encoder.safetensors")
    found = load_whisper(tmp_path / "encoder.safetensors")
    assert torch.equal(found(waveform(3000)), load_whisper(folder)(waveform(3000)))


def test_too_short_audio_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput, match=r"audio: got .*\[639\]"):
        load_whisper(folder)(waveform(639))


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="holds no Whisper encoder"):
        load_whisper(tmp_path / "other.safetensors")


@given(rows=st.integers(2, 90))
@settings(deadline=None, max_examples=20)
def test_groups_average_their_levels(rows: int) -> None:
    level = torch.arange(33.0)[None, :, None].expand(rows, 33, 2)
    groups = whisper_groups(level)
    assert groups.shape == (int(rows / 50 * 25), 5, 2)
    torch.testing.assert_close(
        groups, torch.tensor([3.5, 11.5, 19.5, 27.5, 32.0])[None, :, None].expand_as(groups)
    )


def test_groups_follow_the_frame_rate() -> None:
    assert len(whisper_groups(torch.zeros(100, 33, 1), fps=16)) == 32


def test_another_number_of_levels_is_refused() -> None:
    with pytest.raises(InvalidInput, match="whisper levels: got 25; accepted: 33"):
        whisper_groups(torch.zeros(4, 25, 1))
