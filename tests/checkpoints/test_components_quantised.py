"""Encoders and VAEs in the community's single files: quantised, and inside whole checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.checkpoints.synthetic import wan_shapes, write_headers
from wancore.checkpoints import open_view
from wancore.checkpoints.inspect import inspect
from wancore.checkpoints.layout import find_parts
from wancore.checkpoints.models_tree import find_model
from wancore.encoders.umt5 import Umt5, load_umt5
from wancore.quant import Linear
from wancore.vae.files import recognise

IDS, MASK = torch.tensor([[3, 5, 7, 1]]), torch.ones(1, 4, dtype=torch.long)


@pytest.fixture(scope="module")
def tensors() -> Mapping[str, Tensor]:
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(0)
    sizes = {"vocab_size": 40, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    model = UMT5EncoderModel(UMT5Config(**sizes))
    return {k: v.detach() for k, v in model.state_dict().items() if k != "encoder.embed_tokens.weight"}


def inside(name: str) -> bool:
    return ".block." in name and "norm" not in name and "bias" not in name


def states(source: Path) -> tuple[Umt5, Tensor]:
    encoder = load_umt5(source, dtype=torch.float32)
    return encoder, encoder(IDS, MASK)


def test_a_scaled_fp8_text_encoder_stays_fp8(tensors: Mapping[str, Tensor], tmp_path: Path) -> None:
    stored: dict[str, Tensor] = {"scaled_fp8": torch.zeros(0).to(torch.float8_e4m3fn)}
    dense: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not inside(name):
            stored[name] = dense[name] = tensor
            continue
        scale = tensor.abs().max() / 448
        stored[name] = (tensor / scale).to(torch.float8_e4m3fn)
        stored[name.replace(".weight", ".scale_weight")] = scale
        dense[name] = stored[name].float() * scale
    save_file(stored, tmp_path / "fp8.safetensors")
    save_file(dense, tmp_path / "dense.safetensors")
    encoder, got = states(tmp_path / "fp8.safetensors")
    _, expected = states(tmp_path / "dense.safetensors")
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    layers = [m for m in encoder.modules() if isinstance(m, Linear)]
    assert len(layers) == 2 * 7 and {m.weight.format for m in layers} == {"fp8 e4m3 with one scale"}
    report = inspect(tmp_path / "fp8.safetensors", [])
    assert report.what == "a UMT5 file" and report.problems == ()


LLAMA_CPP = {
    "shared.weight": "token_embd.weight",
    "encoder.final_layer_norm.weight": "enc.output_norm.weight",
    "layer.0.layer_norm.weight": "attn_norm.weight",
    "layer.1.layer_norm.weight": "ffn_norm.weight",
    "layer.0.SelfAttention.relative_attention_bias.weight": "attn_rel_b.weight",
    **{f"layer.0.SelfAttention.{x}.weight": f"attn_{x}.weight" for x in "qkvo"},
    "layer.1.DenseReluDense.wi_0.weight": "ffn_gate.weight",
    "layer.1.DenseReluDense.wi_1.weight": "ffn_up.weight",
    "layer.1.DenseReluDense.wo.weight": "ffn_down.weight",
}


def test_a_gguf_text_encoder_in_llama_cpp_names(tensors: Mapping[str, Tensor], tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(str(tmp_path / "t5.gguf"), "t5encoder")
    dense: dict[str, Tensor] = {}
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, tensor in tensors.items():
        short = name.removeprefix("encoder.block.")
        block, _, leaf = short.partition(".") if short != name else ("", "", name)
        new = f"enc.blk.{block}.{LLAMA_CPP[leaf]}" if block else LLAMA_CPP[leaf]
        if inside(name) or name == "shared.weight":
            raw = gguf.quantize(tensor.numpy(), kind)
            writer.add_tensor(new, raw, raw_dtype=kind)
            dense[name] = torch.from_numpy(np.array(gguf.dequantize(raw, kind)))
        else:
            writer.add_tensor(new, tensor.numpy())
            dense[name] = tensor
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        step()
    writer.close()
    save_file(dense, tmp_path / "dense.safetensors")
    encoder, got = states(tmp_path / "t5.gguf")
    torch.testing.assert_close(got, states(tmp_path / "dense.safetensors")[1], rtol=1e-5, atol=1e-5)
    assert sum(isinstance(m, Linear) for m in encoder.modules()) == 2 * 7
    report = inspect(tmp_path / "t5.gguf", [])
    assert (report.what, report.container) == ("a UMT5 file", "GGUF")


VAE = {
    "conv2.weight": [16, 16, 1, 1, 1],
    "encoder.conv1.weight": [96, 3, 3, 3, 3],
    "decoder.conv1.weight": [384, 16, 3, 3, 3],
    "decoder.upsamples.0.residual.0.gamma": [384, 1, 1, 1],
}
TEXT = {
    "shared.weight": [8, 64],
    "encoder.block.0.layer.1.DenseReluDense.wi_1.weight": [8, 64],
    "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight": [4, 4],
    "encoder.final_layer_norm.weight": [64],
}
CLIP = {
    "vision_model.embeddings.class_embedding": [32],
    "vision_model.encoder.layers.0.self_attn.q_proj.weight": [32, 32],
}


def whole_checkpoint(path: Path) -> Path:
    shapes = {f"model.diffusion_model.{k}": v for k, v in wan_shapes(text_dim=64, clip=32).items()}
    shapes |= {f"vae.{k}": v for k, v in VAE.items()}
    shapes |= {f"text_encoders.umt5xxl.transformer.{k}": v for k, v in TEXT.items()}
    shapes |= {"text_encoders.umt5xxl.logit_scale": []}
    shapes |= {f"clip_vision.{k}": v for k, v in CLIP.items()}
    return write_headers(path, shapes, "BF16")


def test_an_all_in_one_checkpoint_is_its_own_parts(tmp_path: Path) -> None:
    file = whole_checkpoint(tmp_path / "models" / "checkpoints" / "all.safetensors")
    (tmp_path / "models" / "diffusion_models").mkdir()
    parts = find_parts(file)
    assert (parts.transformer, parts.vae, parts.text_encoder, parts.image_encoder) == (file,) * 4
    assert find_model(tmp_path / "models", "all") == file
    found = recognise(open_view(file))
    assert found is not None and set(found.view.entries) == set(VAE)
    assert inspect(file, []).what == "a whole transformer of wan"


def test_a_plain_transformer_has_no_parts_inside(tmp_path: Path) -> None:
    file = write_headers(tmp_path / "x.safetensors", wan_shapes())
    assert set(find_parts(file).found) == {"transformer"}
