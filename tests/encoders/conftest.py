"""A tiny tokenizer and tiny encoders, made by the libraries whose files we read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
import sentencepiece
import torch
from safetensors.torch import load_file
from transformers import UMT5Config, UMT5EncoderModel

CORPUS = [
    "a red cat sits on a mat",
    "the quick brown fox jumps over the lazy dog",
    "一只猫,在跑。 好",
    "rain over the city at night, slow camera",
    "portrait of a dancer in warm light",
]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def spiece() -> bytes:
    """A SentencePiece model with the special ids of the released tokenizer."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(CORPUS),
        model_writer=model,
        vocab_size=52,
        model_type="unigram",
        character_coverage=1.0,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    return model.getvalue()


@pytest.fixture(scope="session")
def umt5() -> UMT5EncoderModel:
    """A UMT5 encoder with 120 embeddings and random weights."""
    torch.manual_seed(0)
    config = UMT5Config(vocab_size=120, d_model=24, d_kv=6, d_ff=40, num_layers=3, num_heads=4)
    return UMT5EncoderModel(config).eval()


@pytest.fixture
def umt5_folder(umt5: UMT5EncoderModel, tmp_path: Path) -> Path:
    umt5.save_pretrained(tmp_path / "text_encoder")
    return tmp_path / "text_encoder"


@pytest.fixture
def umt5_tensors(umt5_folder: Path) -> Mapping[str, torch.Tensor]:
    """What `save_pretrained` wrote, under Hugging Face names."""
    return load_file(umt5_folder / "model.safetensors")
