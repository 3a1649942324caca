from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel, UMT5ForConditionalGeneration

from wancore.encoders.umt5 import load_umt5, real_tokens
from wancore.errors import CheckpointError
from wancore.quant import dense_weight

IDS = torch.tensor([[5, 6, 7, 8, 1], [9, 1, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])

# Hugging Face name -> (upstream name, llama.cpp name), for layer N; written out independently of the maps.
OTHER_NAMES = {
    "shared.weight": ("token_embedding.weight", "token_embd.weight"),
    "encoder.final_layer_norm.weight": ("norm.weight", "enc.output_norm.weight"),
}
LAYER_NAMES = {
    "layer.0.layer_norm.weight": ("norm1.weight", "attn_norm.weight"),
    "layer.0.SelfAttention.q.weight": ("attn.q.weight", "attn_q.weight"),
    "layer.0.SelfAttention.k.weight": ("attn.k.weight", "attn_k.weight"),
    "layer.0.SelfAttention.v.weight": ("attn.v.weight", "attn_v.weight"),
    "layer.0.SelfAttention.o.weight": ("attn.o.weight", "attn_o.weight"),
    "layer.0.SelfAttention.relative_attention_bias.weight": (
        "pos_embedding.embedding.weight",
        "attn_rel_b.weight",
    ),
    "layer.1.layer_norm.weight": ("norm2.weight", "ffn_norm.weight"),
    "layer.1.DenseReluDense.wi_0.weight": ("ffn.gate.0.weight", "ffn_gate.weight"),
    "layer.1.DenseReluDense.wi_1.weight": ("ffn.fc1.weight", "ffn_up.weight"),
    "layer.1.DenseReluDense.wo.weight": ("ffn.fc2.weight", "ffn_down.weight"),
}


def renamed(tensors: Mapping[str, torch.Tensor], which: int) -> dict[str, torch.Tensor]:
    result = {}
    for name, tensor in tensors.items():
        if name in OTHER_NAMES:
            result[OTHER_NAMES[name][which]] = tensor
            continue
        _, _, number, leaf = name.split(".", 3)
        result[f"{('blocks', 'enc.blk')[which]}.{number}.{LAYER_NAMES[leaf][which]}"] = tensor
    return result


def file(tmp_path: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    save_file(dict(tensors), tmp_path / "encoder.safetensors")
    return tmp_path / "encoder.safetensors"


def run(source: Path, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return load_umt5(source, dtype=dtype)(IDS, MASK)


@torch.no_grad()
def reference(model: UMT5EncoderModel) -> torch.Tensor:
    states: torch.Tensor = model(IDS, attention_mask=MASK).last_hidden_state
    return states


def test_a_folder_of_the_library_gives_the_library_s_output(
    umt5: UMT5EncoderModel, umt5_folder: Path
) -> None:
    torch.testing.assert_close(run(umt5_folder), reference(umt5))


@pytest.mark.parametrize("which", [0, 1], ids=["upstream", "llama.cpp"])
def test_other_names_give_the_same_output(
    umt5: UMT5EncoderModel, umt5_tensors: Mapping[str, torch.Tensor], tmp_path: Path, which: int
) -> None:
    torch.testing.assert_close(run(file(tmp_path, renamed(umt5_tensors, which))), reference(umt5))


@pytest.mark.parametrize(
    "names", [("encoder.embed_tokens.weight",), ("shared.weight", "encoder.embed_tokens.weight")]
)
def test_the_embedding_goes_by_either_name(
    umt5: UMT5EncoderModel, umt5_tensors: Mapping[str, torch.Tensor], tmp_path: Path, names: tuple[str, ...]
) -> None:
    tensors = dict(umt5_tensors)
    embedding = tensors.pop("shared.weight")
    tensors |= {name: embedding.clone() for name in names}
    torch.testing.assert_close(run(file(tmp_path, tensors)), reference(umt5))


def test_the_decoder_of_a_whole_model_is_left_out(tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = UMT5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=12, num_layers=2, num_heads=2)
    whole = UMT5ForConditionalGeneration(config).eval()
    whole.save_pretrained(tmp_path / "whole")
    with torch.no_grad():
        expected = whole.encoder(IDS, attention_mask=MASK).last_hidden_state
    torch.testing.assert_close(run(tmp_path / "whole"), expected)


def test_a_prefixed_part_of_a_bigger_file(
    umt5: UMT5EncoderModel, umt5_tensors: Mapping[str, torch.Tensor], tmp_path: Path
) -> None:
    tensors = {f"text_encoders.umt5.transformer.{name}": t for name, t in umt5_tensors.items()}
    tensors["vae.conv1.weight"] = torch.zeros(2)
    torch.testing.assert_close(run(file(tmp_path, tensors)), reference(umt5))


def test_narrow_weights_are_widened(
    umt5: UMT5EncoderModel, umt5_tensors: Mapping[str, torch.Tensor], tmp_path: Path
) -> None:
    narrow = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in umt5_tensors.items()}
    encoder = load_umt5(file(tmp_path, narrow), dtype=torch.bfloat16)
    assert {p.dtype for p in encoder.parameters()} == {torch.bfloat16}
    weight = dense_weight(encoder.blocks[1].attn.k, torch.bfloat16)
    stored = narrow["encoder.block.1.layer.0.SelfAttention.k.weight"]
    assert torch.equal(weight, stored.to(torch.bfloat16))
    assert encoder(IDS, MASK).isfinite().all()


def test_padding_does_not_reach_real_tokens(umt5_folder: Path) -> None:
    encoder = load_umt5(umt5_folder, dtype=torch.float32)
    (alone,) = real_tokens(encoder(IDS[1:, :2], MASK[1:, :2]), MASK[1:, :2])
    beside = real_tokens(encoder(IDS, MASK), MASK)[1]
    assert alone.shape == (2, 24)
    torch.testing.assert_close(alone, beside)


def test_t5_is_told_from_umt5(tmp_path: Path) -> None:
    T5EncoderModel(
        T5Config(
            vocab_size=20,
            d_model=8,
            d_kv=4,
            d_ff=12,
            num_layers=3,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    ).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"is a T5 encoder \(1 position bias for 3 layers"):
        run(tmp_path)


def test_a_missing_tensor_is_named(umt5_tensors: Mapping[str, torch.Tensor], tmp_path: Path) -> None:
    tensors = dict(umt5_tensors)
    del tensors["encoder.block.1.layer.1.DenseReluDense.wo.weight"]
    with pytest.raises(CheckpointError, match=r"missing \(blocks\.1\.ffn\.fc2"):
        run(file(tmp_path, tensors))


def test_an_unknown_tensor_is_named(umt5_tensors: Mapping[str, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"unexpected \(adapter\.weight\)"):
        run(file(tmp_path, {**umt5_tensors, "adapter.weight": torch.zeros(1)}))


def test_a_truncated_file_is_named(umt5_folder: Path) -> None:
    path = umt5_folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="truncated"):
        run(path)


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no UMT5 text encoder"):
        run(file(tmp_path, {"patch_embedding.weight": torch.zeros(1)}))


def test_heads_that_do_not_divide_the_width_are_refused(
    umt5_tensors: Mapping[str, torch.Tensor], tmp_path: Path
) -> None:
    bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    with pytest.raises(CheckpointError, match="5 attention heads in a width of 24"):
        run(file(tmp_path, {**umt5_tensors, bias: torch.zeros(32, 5)}))


def test_a_config_value_of_the_wrong_type_is_refused(umt5_folder: Path) -> None:
    (umt5_folder / "config.json").write_text('{"layer_norm_epsilon": "small"}')
    with pytest.raises(
        CheckpointError, match=r"layer_norm_epsilon 'small' in its config\.json; accepted: a number above 0"
    ):
        run(umt5_folder)
