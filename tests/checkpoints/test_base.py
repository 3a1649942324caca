"""The transformer's sizes from shapes and config.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints.synthetic import wan_shapes, write_headers, write_json
from wancore.checkpoints import FileView, open_view
from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.base_keys import base_spec, check_base, expected_keys, extra_keys, has_base
from wancore.errors import CheckpointError
from wancore.transformer.config import TransformerConfig


def opened(folder: Path, shapes: dict[str, list[int]], config: dict[str, Any] | None = None) -> FileView:
    write_headers(folder / "diffusion_pytorch_model.safetensors", shapes)
    if config is not None:
        write_json(folder / "config.json", config)
    return open_view(folder)


MODELS = [  # dim, ffn, layers, heads, in, out, clip, positions, keys, parameters: as published
    (1536, 8960, 30, 12, 16, 16, None, None, 825, 1_418_996_800),
    (5120, 13824, 40, 40, 16, 16, None, None, 1095, 14_288_491_584),
    (5120, 13824, 40, 40, 36, 16, 1280, None, 1303, 16_394_878_784),
    (5120, 13824, 40, 40, 36, 16, 1280, 514, 1304, 16_395_536_704),
    (5120, 13824, 40, 40, 36, 16, None, None, 1095, 14_288_901_184),
    (3072, 14336, 30, 24, 48, 48, None, None, 825, 4_999_787_712),
]


@pytest.mark.parametrize("model", MODELS)
def test_published_models_are_read_from_shapes_alone(tmp_path: Path, model: tuple[Any, ...]) -> None:
    dim, ffn, layers, heads, in_dim, out_dim, clip, positions, keys, parameters = model
    shapes = wan_shapes(dim, ffn, layers, in_dim, out_dim, clip=clip, positions=positions)
    view = opened(tmp_path, shapes)
    assert len(view) == keys and sum(info.nbytes for info in view.entries.values()) == 4 * parameters
    assert transformer_config(view) == TransformerConfig(
        dim, ffn, heads, layers, in_dim, out_dim, image_dim=clip, image_positions=positions
    )
    assert {k: list(v) for k, v in expected_keys(base_spec(view)).items()} == shapes
    assert extra_keys(view) == []
    check_base(view, base_spec(view))


def test_config_json_gives_what_shapes_do_not_tell(tmp_path: Path) -> None:
    upstream = {"dim": 48, "num_heads": 2, "text_len": 16, "eps": 1e-5, "model_type": "t2v"}
    config = transformer_config(opened(tmp_path / "a", wan_shapes(dim=48), upstream))
    assert (config.num_heads, config.text_len, config.eps) == (2, 16, 1e-5)
    theirs = {"num_attention_heads": 4, "attention_head_dim": 12, "in_channels": 16, "patch_size": [1, 2, 2],
              "image_dim": None, "pos_embed_seq_len": None}  # fmt: skip
    assert transformer_config(opened(tmp_path / "b", wan_shapes(dim=48), theirs)).num_heads == 4


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"dim": 64}, "config.json says dim = 64, the tensors have 256"),
        ({"in_channels": 36}, "config.json says in_channels = 36, the tensors have 16"),
        ({"patch_size": [1, 1, 1]}, "config.json says patch_size = [1, 1, 1], the tensors have (1, 2, 2)"),
        ({"image_dim": 1280}, "config.json says image_dim = 1280, the tensors have None"),
        ({"num_layers": "2"}, "config.json says num_layers = '2'"),
        ({"num_heads": 3}, "num_heads = 3, which does not split 256"),
        ({"num_heads": 256}, "num_heads = 256, which does not split 256 into even widths"),
        ({"num_heads": 2.0}, "num_heads: got 2.0; accepted: a number above 0"),
        ({"num_heads": True}, "num_heads: got True"),
        ({"num_heads": 2, "num_attention_heads": 4}, "contradicts itself"),
        ({"num_attention_heads": 4, "attention_head_dim": 128}, "4 heads of 128"),
        ({"eps": "small"}, "eps: got 'small'"),
        ({"text_len": 0}, "text_len: got 0"),
    ],
)
def test_a_config_that_cannot_be_right_is_refused(
    tmp_path: Path, config: dict[str, Any], problem: str
) -> None:
    with pytest.raises(CheckpointError, match=re.escape(problem)):
        transformer_config(opened(tmp_path, wan_shapes(), config))


def test_an_unusual_width_needs_the_number_of_heads(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"48 is no multiple of 128; put a config.json with num_heads"):
        transformer_config(opened(tmp_path, wan_shapes(dim=48)))


def test_a_model_without_text_has_no_text_width(tmp_path: Path) -> None:
    shapes = {k: v for k, v in wan_shapes().items() if "cross_attn" not in k and "text_embedding" not in k}
    shapes = {k: v for k, v in shapes.items() if "norm3" not in k}
    view = opened(tmp_path, shapes, {"text_dim": 4096})
    assert transformer_config(view).text_dim == 0
    check_base(view, base_spec(view))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"head.head.weight": [63, 256]}, "'head.head.weight': has 63 rows"),
        ({"patch_embedding.weight": [256, 16]}, "'patch_embedding.weight': has shape [256, 16]; 5 axes"),
        ({"patch_embedding.weight": [256, 0, 1, 2, 2]}, "'patch_embedding.weight'"),
        ({"time_embedding.0.weight": None}, "'time_embedding.0.weight': is missing"),
        ({"blocks.3.modulation": [1, 6, 256]}, "has 3 blocks, but none numbered 2"),
    ],
)
def test_impossible_shapes_name_the_key(
    tmp_path: Path, changes: dict[str, list[int] | None], problem: str
) -> None:
    shapes = {k: v for k, v in {**wan_shapes(), **changes}.items() if v is not None}
    with pytest.raises(CheckpointError, match=re.escape(problem)):
        base_spec(opened(tmp_path, shapes))


def test_missing_and_misshaped_keys_of_the_base_are_named(tmp_path: Path) -> None:
    shapes = wan_shapes()
    view = opened(tmp_path / "a", {k: v for k, v in shapes.items() if ".norm_q" not in k})
    with pytest.raises(CheckpointError, match=r"4 keys missing \(blocks\.0\.self_attn\.norm_q\.weight"):
        check_base(view, base_spec(view))
    view = opened(tmp_path / "b", {**shapes, "blocks.1.ffn.2.bias": [7]})
    with pytest.raises(CheckpointError, match=r"'blocks\.1\.ffn\.2\.bias': has shape \[7\], not \[256\]"):
        check_base(view, base_spec(view))


def test_a_module_is_no_base(tmp_path: Path) -> None:
    view = opened(tmp_path, {"vace_blocks.0.x": [1], "blocks.0.audio.q": [1]})
    assert not has_base(view) and extra_keys(view) == ["vace_blocks.0.x", "blocks.0.audio.q"]
