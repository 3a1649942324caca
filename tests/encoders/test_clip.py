from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel

from wancore.encoders import load_image_encoder
from wancore.errors import CheckpointError

SIZES = {"image_size": 28, "patch_size": 14, "num_hidden_layers": 3, "intermediate_size": 96}


def vision(width: int, heads: int, activation: str = "gelu") -> CLIPVisionModel:
    torch.manual_seed(0)
    config = CLIPVisionConfig(hidden_size=width, num_attention_heads=heads, hidden_act=activation, **SIZES)
    return CLIPVisionModel(config).eval()


def saved(model: CLIPVisionModel, folder: Path) -> dict[str, torch.Tensor]:
    """The model's folder, and its tensors without the prefix that some versions write."""
    model.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    return {name.removeprefix("vision_model."): tensor for name, tensor in tensors.items()}


def upstream(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights as the released `.pth` names and shapes them."""
    fixed = {
        "embeddings.patch_embedding.weight": "patch_embedding.weight",
        "pre_layrnorm.weight": "pre_norm.weight",
        "pre_layrnorm.bias": "pre_norm.bias",
        "post_layernorm.weight": "post_norm.weight",
        "post_layernorm.bias": "post_norm.bias",
    }
    parts = {
        "layer_norm1": "norm1",
        "layer_norm2": "norm2",
        "self_attn.out_proj": "attn.proj",
        "mlp.fc1": "mlp.0",
        "mlp.fc2": "mlp.2",
    }
    result = {theirs: tensors[ours] for ours, theirs in fixed.items()}
    result["cls_embedding"] = tensors["embeddings.class_embedding"][None, None]
    result["pos_embedding"] = tensors["embeddings.position_embedding.weight"][None]
    for layer in range(SIZES["num_hidden_layers"]):
        ours, theirs = f"encoder.layers.{layer}", f"transformer.{layer}"
        for leaf in ("weight", "bias"):
            qkv = [tensors[f"{ours}.self_attn.{part}_proj.{leaf}"] for part in "qkv"]
            result[f"{theirs}.attn.to_qkv.{leaf}"] = torch.cat(qkv)
            result |= {
                f"{theirs}.{new}.{leaf}": tensors[f"{ours}.{old}.{leaf}"] for old, new in parts.items()
            }
    return {f"visual.{name}": tensor for name, tensor in result.items()}


def file(tmp_path: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    save_file(dict(tensors), tmp_path / "clip.safetensors")
    return tmp_path / "clip.safetensors"


def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def penultimate(model: CLIPVisionModel) -> torch.Tensor:
    states: tuple[torch.Tensor, ...] = model(pixels(), output_hidden_states=True).hidden_states
    return states[-2]


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_a_folder_of_the_library_gives_its_hidden_states(tmp_path: Path, activation: str) -> None:
    model = vision(48, 4, activation)
    model.save_pretrained(tmp_path)
    tokens = load_image_encoder(tmp_path).encode_pixels(pixels())
    assert tokens.shape == (2, 5, 48)
    torch.testing.assert_close(tokens, penultimate(model))


def test_upstream_names_give_the_same_tokens(tmp_path: Path) -> None:
    model = vision(160, 2)
    tensors = upstream(saved(model, tmp_path / "model"))
    # what the released file holds besides: the other tower, the projection, the temperature
    tensors |= {
        "visual.head": torch.zeros(160, 8),
        "textual.token_embedding.weight": torch.zeros(4, 4),
        "log_scale": torch.zeros(()),
    }
    tokens = load_image_encoder(file(tmp_path, tensors)).encode_pixels(pixels())
    torch.testing.assert_close(tokens, penultimate(model))


@pytest.mark.parametrize("prefix", ["", "vision_model.", "clip_vision.vision_model."])
def test_hugging_face_names_with_and_without_prefix(tmp_path: Path, prefix: str) -> None:
    model = vision(80, 1)
    tensors = {prefix + name: tensor for name, tensor in saved(model, tmp_path / "model").items()}
    tokens = load_image_encoder(file(tmp_path, tensors)).encode_pixels(pixels())
    torch.testing.assert_close(tokens, penultimate(model))


def test_the_image_half_of_a_whole_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    text = {"vocab_size": 12, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    whole = CLIPModel(
        CLIPConfig(
            vision_config={"hidden_size": 48, "num_attention_heads": 4, **SIZES},
            text_config={**text, "num_attention_heads": 2},
        )
    ).eval()
    whole.save_pretrained(tmp_path)
    tokens = load_image_encoder(tmp_path).encode_pixels(pixels())
    with torch.no_grad():
        states = whole.vision_model(pixels(), output_hidden_states=True).hidden_states
    torch.testing.assert_close(tokens, states[-2])


def test_images_of_any_size_are_stretched(tmp_path: Path) -> None:
    vision(48, 4).save_pretrained(tmp_path)
    encoder = load_image_encoder(tmp_path)
    image = torch.rand(3, 40, 17) * 2 - 1
    both = encoder.encode([image, torch.zeros(3, 28, 28)])
    torch.testing.assert_close(both[:1], encoder.encode([image]))
    assert both.shape == (2, 5, 48)
    assert encoder.to("meta").model.device.type == "meta"


def test_half_precision_stays_close(tmp_path: Path) -> None:
    model = vision(48, 4)
    model.save_pretrained(tmp_path)
    tokens = load_image_encoder(tmp_path, dtype=torch.bfloat16).encode_pixels(pixels())
    assert tokens.dtype == torch.bfloat16
    torch.testing.assert_close(tokens.float(), penultimate(model), atol=0.1, rtol=0.05)


def test_unknown_heads_are_refused(tmp_path: Path) -> None:
    tensors = saved(vision(48, 4), tmp_path / "model")
    with pytest.raises(
        CheckpointError, match=r"number of attention heads; accepted: num_attention_heads in a"
    ):
        load_image_encoder(file(tmp_path, tensors))


@pytest.mark.parametrize("heads", [5, 0, "many"])
def test_impossible_heads_are_refused(tmp_path: Path, heads: object) -> None:
    vision(48, 4).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_attention_heads": heads}))
    with pytest.raises(CheckpointError, match=r"has num_attention_heads .* accepted: a divisor of 48"):
        load_image_encoder(tmp_path)


def test_an_unknown_activation_is_refused(tmp_path: Path) -> None:
    vision(48, 4).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_act": "swoosh"}))
    with pytest.raises(CheckpointError, match="swoosh"):
        load_image_encoder(tmp_path)


def test_positions_that_make_no_square_are_refused(tmp_path: Path) -> None:
    tensors = saved(vision(80, 1), tmp_path / "model")
    tensors["embeddings.position_embedding.weight"] = torch.zeros(7, 80)
    with pytest.raises(CheckpointError, match="has 7 positions and 3 layers"):
        load_image_encoder(file(tmp_path, tensors))


def test_a_fused_projection_that_does_not_split_is_refused(tmp_path: Path) -> None:
    tensors = upstream(saved(vision(80, 1), tmp_path / "model"))
    tensors["visual.transformer.0.attn.to_qkv.weight"] = torch.zeros(239, 80)
    with pytest.raises(CheckpointError, match="does not split into 3 row blocks"):
        load_image_encoder(file(tmp_path, tensors))


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no CLIP image encoder"):
        load_image_encoder(file(tmp_path, {"shared.weight": torch.zeros(1)}))
