from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import UMT5EncoderModel

from wancore.encoders import PromptCache, encoder_identity, load_text_encoder, load_tokenizer
from wancore.encoders.text import TextEncoder
from wancore.errors import CheckpointError

PROMPTS = ["  a red   cat ", "rain over the city at night, slow camera", ""]


@pytest.fixture
def encoder(umt5_folder: Path, spiece: bytes) -> TextEncoder:
    return load_text_encoder(umt5_folder, load_tokenizer(spiece), dtype=torch.float32)


def test_contexts_are_the_rows_of_real_tokens(
    encoder: TextEncoder, umt5: UMT5EncoderModel, spiece: bytes
) -> None:
    tokenize = load_tokenizer(spiece)
    for context, prompt in zip(encoder.encode(PROMPTS), PROMPTS, strict=True):
        ids = tokenize(" ".join(prompt.split()))
        with torch.no_grad():
            expected = umt5(torch.tensor([ids])).last_hidden_state[0]
        torch.testing.assert_close(context, expected)
    assert encoder.encode([]) == []


@given(order=st.permutations(PROMPTS))
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_context_does_not_depend_on_the_other_prompts(encoder: TextEncoder, order: list[str]) -> None:
    together = dict(zip(order, encoder.encode(order), strict=True))
    for prompt in order:
        torch.testing.assert_close(together[prompt], encoder.encode([prompt])[0])


def test_the_limit_counts_the_end_mark(encoder: TextEncoder) -> None:
    long = "rain over the city " * 200
    assert [len(context) for context in encoder.encode([long])] == [512]
    assert [len(context) for context in encoder.encode([long, ""], max_tokens=7)] == [7, 1]


def test_the_tokenizer_inside_the_file_is_used(
    umt5_tensors: Mapping[str, torch.Tensor], encoder: TextEncoder, spiece: bytes, tmp_path: Path
) -> None:
    inside = {**umt5_tensors, "spiece_model": torch.frombuffer(bytearray(spiece), dtype=torch.uint8)}
    save_file(inside, tmp_path / "umt5.safetensors")
    found = load_text_encoder(tmp_path / "umt5.safetensors", dtype=torch.float32)
    assert torch.equal(found.encode(PROMPTS[:1])[0], encoder.encode(PROMPTS[:1])[0])


@pytest.mark.parametrize("place", ["text_encoder", "tokenizer", "google/umt5-xxl"])
def test_the_tokenizer_beside_the_file_is_used(
    umt5_folder: Path, encoder: TextEncoder, spiece: bytes, place: str
) -> None:
    folder = umt5_folder.parent / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(spiece)
    found = load_text_encoder(umt5_folder, dtype=torch.float32)
    assert torch.equal(found.encode(PROMPTS[:1])[0], encoder.encode(PROMPTS[:1])[0])


def test_the_tokenizer_inside_another_encoder_of_the_folder_is_used(
    umt5_folder: Path, encoder: TextEncoder, spiece: bytes
) -> None:
    """As in ComfyUI's text_encoders/, where only some of the files bring one."""
    inside = load_file(umt5_folder / "model.safetensors")
    inside["spiece_model"] = torch.frombuffer(bytearray(spiece), dtype=torch.uint8)
    save_file(inside, umt5_folder / "other.safetensors")
    found = load_text_encoder(umt5_folder / "model.safetensors", dtype=torch.float32)
    assert torch.equal(found.encode(PROMPTS[:1])[0], encoder.encode(PROMPTS[:1])[0])


def test_no_tokenizer_says_where_one_is_looked_for(umt5_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="comes without a tokenizer; name one with --tokenizer"):
        load_text_encoder(umt5_folder)


def test_a_tokenizer_that_is_too_big_is_refused(umt5_folder: Path, spiece: bytes) -> None:
    tensors = {"shared.weight": torch.zeros(10, 24)}

    file = umt5_folder / "model.safetensors"
    save_file({**load_file(file), **tensors}, file)
    with pytest.raises(CheckpointError, match="has 10 embeddings, its tokenizer 52 tokens"):
        load_text_encoder(umt5_folder, load_tokenizer(spiece))


def test_a_cached_prompt_needs_no_encoder(encoder: TextEncoder) -> None:
    loads: list[str] = []

    def load() -> TextEncoder:
        loads.append("loaded")
        return encoder

    cache = PromptCache(capacity=2)
    first = cache.encode(["a cat", " a  cat", "the dog"], "one", load)
    assert torch.equal(first[0], first[1])
    assert torch.equal(first[2], encoder.encode(["a cat", "the dog"])[1])
    again = cache.encode(["the dog", "a cat"], "one", load)
    assert [a is b for a, b in zip(again, (first[2], first[0]), strict=True)] == [True, True]
    assert loads == ["loaded"]
    cache.encode(["a cat"], "another encoder", load)
    assert loads == ["loaded", "loaded"]


@given(wanted=st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4), max_size=12))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_cache_keeps_the_most_recent_and_answers_in_order(
    encoder: TextEncoder, wanted: list[list[str]]
) -> None:
    cache = PromptCache(capacity=3)
    expected = {name: encoder.encode([name])[0] for name in "abcde"}
    for prompts in wanted:
        for prompt, context in zip(prompts, cache.encode(prompts, "e", lambda: encoder), strict=True):
            torch.testing.assert_close(context, expected[prompt])
        assert len(cache.contexts) <= 3
        assert ("e", prompts[-1]) in cache.contexts


def test_identity_changes_with_the_file_and_the_precision(umt5_folder: Path) -> None:
    first = encoder_identity(umt5_folder, torch.bfloat16)
    assert first == encoder_identity(umt5_folder, torch.bfloat16)
    assert first != encoder_identity(umt5_folder, torch.float32)
    with (umt5_folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    assert first != encoder_identity(umt5_folder, torch.bfloat16)
    with pytest.raises(CheckpointError, match="cannot be read"):
        encoder_identity(umt5_folder / "absent", torch.bfloat16)


def test_weights_move_with_the_encoder(encoder: TextEncoder) -> None:
    assert encoder.to("meta").model.device.type == "meta"
