from __future__ import annotations

import logging
from pathlib import Path

import pytest
import sentencepiece
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers, processors

from wancore.encoders import load_tokenizer
from wancore.errors import CheckpointError, InvalidInput

VOCABULARY = ["red", "cat", "mat", "the", "lazy", "dog", "city", "猫", "night", "zebra"]
words = st.lists(st.sampled_from(VOCABULARY), max_size=30)
shared_files = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def as_json(spiece: bytes) -> tokenizers.Tokenizer:
    """The same vocabulary as a `tokenizer.json`, with the template and the padding such files carry."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=spiece)
    pieces = [(processor.IdToPiece(i), processor.GetScore(i)) for i in range(processor.GetPieceSize())]
    tokenizer = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.enable_padding(length=50)
    tokenizer.enable_truncation(4)
    return tokenizer


@given(words=words, limit=st.integers(1, 40))
@shared_files
def test_the_end_mark_survives_truncation(spiece: bytes, words: list[str], limit: int) -> None:
    tokenizer = load_tokenizer(spiece)
    whole, cut = tokenizer(" ".join(words), 10_000), tokenizer(" ".join(words), limit)
    assert whole.count(1) == 1
    assert whole[-1] == 1
    assert cut == [*whole[:-1][: limit - 1], 1]


@given(words=words)
@shared_files
def test_both_file_formats_give_the_same_ids(spiece: bytes, tmp_path: Path, words: list[str]) -> None:
    as_json(spiece).save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path)(" ".join(words)) == load_tokenizer(spiece)(" ".join(words))


def test_it_is_found_by_folder_and_by_file(spiece: bytes, tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(spiece)
    expected = load_tokenizer(spiece)("a red cat")
    assert load_tokenizer(tmp_path)("a red cat") == expected
    assert load_tokenizer(tmp_path / "spiece.model")("a red cat") == expected


def test_a_cut_prompt_is_logged(spiece: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load_tokenizer(spiece)("a red cat", 2)
    assert "only the first 1 are used" in caplog.text


def test_no_room_for_the_end_mark_is_refused(spiece: bytes) -> None:
    with pytest.raises(InvalidInput, match="max_tokens: got 0"):
        load_tokenizer(spiece)("a", 0)


@pytest.mark.parametrize("name", ["tokenizer.json", "spiece.model"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00 not a tokenizer")
    with pytest.raises(CheckpointError, match=rf"{name}: cannot be read as a"):
        load_tokenizer(tmp_path)


def test_a_folder_without_one_says_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"accepted: tokenizer\.json, spiece\.model or a folder"):
        load_tokenizer(tmp_path)


def test_a_vocabulary_without_end_mark_is_refused(tmp_path: Path) -> None:
    tokenizers.Tokenizer(models.Unigram([("a", 0.0)])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match="has no token </s>"):
        load_tokenizer(tmp_path)
