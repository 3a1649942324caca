"""Finding the parts of a pipeline in every layout users have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.checkpoints.synthetic import Shapes, wan_shapes, write_headers, write_json
from wancore.checkpoints.layout import find_parts
from wancore.checkpoints.models_tree import find_model, find_part
from wancore.checkpoints.parts import Part, Parts
from wancore.errors import CheckpointError

TEXT_WIDTH, CLIP_WIDTH = 32, 12


def transformer(path: Path, **sizes: int) -> Path:
    return write_headers(path, wan_shapes(dim=128, ffn=16, layers=1, text_dim=TEXT_WIDTH, **sizes))


def vae(path: Path, channels: int = 16) -> Path:
    residual = "0.residual" if channels == 16 else "0.upsamples.0.residual"
    shapes: Shapes = {
        "encoder.conv1.weight": [4, 3, 3, 3, 3],
        "conv2.weight": [channels, channels, 1, 1, 1],
        f"decoder.upsamples.{residual}.0.gamma": [4],
    }
    return write_headers(path, {f"model.{k}": v for k, v in shapes.items()})


def text_encoder(
    path: Path, width: int = TEXT_WIDTH, dtype: str | dict[str, str] = "F16", format: str = ""
) -> Path:
    """`format`: what its description says of one layer."""
    shapes: dict[str, list[int]] = {
        "token_embedding.weight": [8, width],
        "blocks.0.ffn.gate.0.weight": [8, width],
        "blocks.0.pos_embedding.embedding.weight": [4, 4],
    }
    described = {"layers": {"blocks.0.ffn.gate.0": {"format": format}}}
    metadata = {"_quantization_metadata": json.dumps(described)} if format else None
    return write_headers(path, shapes, dtype, metadata)


def clip(path: Path, width: int = CLIP_WIDTH) -> Path:
    shapes: Shapes = {
        "vision_model.embeddings.class_embedding": [width],
        "vision_model.encoder.layers.0.self_attn.q_proj.weight": [width, width],
    }
    return write_headers(path, shapes)


def taehv(path: Path, channels: int = 16) -> Path:
    shapes = {"decoder.1.weight": [8, channels, 3, 3], "decoder.3.conv.0.weight": [8, 16, 3, 3]}
    return write_headers(path, {**shapes, "decoder.3.conv.2.weight": [8, 8, 3, 3]})


def tokenizer(path: Path) -> Path:
    write_json(path / "tokenizer.json", {})
    return path


def below(root: Path, parts: Parts) -> dict[str, str]:
    """Part -> its path below `root`, for all that were found."""
    everything: tuple[Part, ...] = tuple(parts.found)
    found = {part: parts.optional(part) for part in everything}
    return {part: str(path.relative_to(root)) for part, path in found.items() if path is not None}


def refuses(parts: Parts, part: Part, *texts: str) -> None:
    with pytest.raises(CheckpointError) as error:
        parts.require(part)
    for text in texts:
        assert text in str(error.value)


def test_an_upstream_folder(tmp_path: Path) -> None:
    for i in (1, 2):
        write_headers(
            tmp_path / f"diffusion_pytorch_model-0000{i}-of-00002.safetensors",
            dict(list(wan_shapes(text_dim=TEXT_WIDTH).items())[i - 1 :: 2]),
        )
    write_json(tmp_path / "config.json", {"num_heads": 2})
    vae(tmp_path / "Wan2.1_VAE.safetensors")
    (tmp_path / "Wan2.1_VAE.pth").touch()
    text_encoder(tmp_path / "models_t5_umt5-xxl-enc-bf16.safetensors")
    (tmp_path / "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth").touch()
    tokenizer(tmp_path / "google" / "umt5-xxl")
    parts = find_parts(tmp_path)
    assert below(tmp_path, parts) == {
        "transformer": ".",
        "vae": "Wan2.1_VAE.safetensors",
        "text_encoder": "models_t5_umt5-xxl-enc-bf16.safetensors",
        "tokenizer": "google/umt5-xxl",
    }
    assert parts.transformer == tmp_path and parts.transformer_2 is None and parts.preview is None
    refuses(parts, "image_encoder", "no image encoder", "vit-huge-14.pth is a pickle file", "clip_vision_h")
    refuses(parts, "preview", "no preview decoder", "taew2_1.safetensors")
    shard = tmp_path / "diffusion_pytorch_model-00002-of-00002.safetensors"
    assert find_parts(shard).vae == tmp_path / "Wan2.1_VAE.safetensors"


def test_two_experts_beside_their_components(tmp_path: Path) -> None:
    for name in ("high_noise_model", "low_noise_model"):
        transformer(tmp_path / name / "diffusion_pytorch_model.safetensors")
    vae(tmp_path / "vae.safetensors")
    parts = find_parts(tmp_path)
    expected = {
        "transformer": "high_noise_model",
        "transformer_2": "low_noise_model",
        "vae": "vae.safetensors",
    }
    assert below(tmp_path, parts) == expected
    one = find_parts(tmp_path / "low_noise_model")
    assert (one.transformer, one.transformer_2) == (tmp_path / "low_noise_model", None)
    assert one.vae == tmp_path / "vae.safetensors"


def pipeline(root: Path, **index: object) -> Path:
    names = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
    write_json(root / "model_index.json", {**{n: ["library", "Class"] for n in names}, **index})
    transformer(root / "transformer" / "diffusion_pytorch_model.safetensors")
    for name in names[1:]:
        (root / name).mkdir()
    return root


def test_a_diffusers_pipeline(tmp_path: Path) -> None:
    index = {"transformer_2": ["diffusers", "X"], "boundary_ratio": 0.875, "image_encoder": [None, None]}
    root = pipeline(tmp_path, **index)
    transformer(root / "transformer_2" / "diffusion_pytorch_model.safetensors")
    parts = find_parts(root)
    names = ("transformer", "transformer_2", "vae", "text_encoder", "tokenizer")
    assert below(root, parts) == {name: name for name in names} and parts.boundary_ratio == 0.875
    one = find_parts(root / "transformer_2")
    assert (one.transformer, one.transformer_2, one.vae) == (root / "transformer_2", None, root / "vae")


def test_a_pipeline_with_one_model_or_without_a_folder(tmp_path: Path) -> None:
    root = pipeline(tmp_path, transformer_2=[None, None], boundary_ratio=None)
    (root / "vae").rmdir()
    parts = find_parts(root)
    assert parts.transformer_2 is None and parts.boundary_ratio is None
    refuses(parts, "vae", "model_index.json names vae/, which is not there")


@pytest.mark.parametrize("value", [0, 1, 1.5, "0.9", True, []])
def test_an_impossible_boundary_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(CheckpointError, match=r"model_index\.json: boundary_ratio: got .*between 0 and 1"):
        find_parts(pipeline(tmp_path, boundary_ratio=value))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A ComfyUI tree with files for both generations."""
    root = tmp_path / "models"
    transformer(root / "diffusion_models" / "t2v.safetensors")
    transformer(root / "diffusion_models" / "sub" / "five.safetensors", in_dim=48, out_dim=48)
    write_headers(
        root / "unet" / "i2v.safetensors",
        wan_shapes(dim=128, layers=1, in_dim=36, text_dim=TEXT_WIDTH, clip=CLIP_WIDTH),
    )
    vae(root / "vae" / "wan_2.1_vae.safetensors")
    vae(root / "vae" / "deep" / "wan2.2_vae.safetensors", 48)
    (root / "vae" / "sdxl.safetensors").write_bytes(b"broken")
    taehv(root / "vae_approx" / "taew2_1.safetensors")
    taehv(root / "vae_approx" / "taew2_2.safetensors", 48)
    text_encoder(root / "text_encoders" / "umt5_fp16.safetensors")
    packed = {"blocks.0.ffn.gate.0.weight": "U8"}
    text_encoder(root / "text_encoders" / "umt5_svdquant.safetensors", dtype=packed, format="svdquant_w4a4")
    text_encoder(root / "clip" / "other_width.safetensors", width=64)
    clip(root / "clip_vision" / "clip_vision_h.safetensors")
    clip(root / "clip_vision" / "clip_vision_g.safetensors", width=16)
    return root


def test_a_models_tree_gives_what_fits_the_transformer(models: Path) -> None:
    parts = find_parts(models / "diffusion_models" / "t2v.safetensors")
    assert parts.transformer == models / "diffusion_models" / "t2v.safetensors"
    assert parts.vae == models / "vae" / "wan_2.1_vae.safetensors"
    assert parts.preview == models / "vae_approx" / "taew2_1.safetensors"
    assert parts.text_encoder == models / "text_encoders" / "umt5_fp16.safetensors"
    refuses(parts, "image_encoder", "several candidates")  # a T2V model does not tell which it would need
    parts = find_parts(find_model(models, "sub/five"))
    assert parts.vae == models / "vae" / "deep" / "wan2.2_vae.safetensors"
    assert parts.preview == models / "vae_approx" / "taew2_2.safetensors"
    parts = find_parts(find_model(models, "i2v"))
    assert parts.image_encoder == models / "clip_vision" / "clip_vision_h.safetensors"


def test_ambiguity_is_an_error_of_the_part_that_is_asked_for(models: Path) -> None:
    second = vae(models / "vae" / "another.safetensors")
    parts = find_parts(models / "diffusion_models" / "t2v.safetensors")
    refuses(
        parts, "vae", "several candidates for the VAE", "vae/another.safetensors, vae/wan_2.1_vae.safetensors"
    )
    assert parts.text_encoder is not None
    assert parts.given("vae", second).vae == second
    refuses(
        find_parts(models), "transformer", "several candidates for the transformer", "unet/i2v.safetensors"
    )


def test_what_does_not_fit_is_named_when_a_part_is_missing(models: Path) -> None:
    (models / "vae" / "wan_2.1_vae.safetensors").unlink()
    (models / "vae" / "Wan2_1_VAE_bf16.pth").touch()
    (models / "text_encoders" / "umt5_fp16.safetensors").unlink()
    parts = find_parts(models / "diffusion_models" / "t2v.safetensors")
    refuses(parts, "vae", "Wan2_1_VAE_bf16.pth is a pickle file", "width 48, not 16", "needed: a Wan 2.1 VAE")
    refuses(
        parts,
        "text_encoder",
        "umt5_svdquant.safetensors is quantised (ComfyUI svdquant_w4a4",
        "width 64, not 32",
    )


def test_a_folder_takes_from_a_tree_what_it_lacks(tmp_path: Path, models: Path) -> None:
    own = tmp_path / "Wan"
    transformer(own / "diffusion_pytorch_model.safetensors")
    own_vae = vae(own / "vae.safetensors")
    parts = find_parts(own, models)
    assert parts.vae == own_vae and parts.text_encoder == models / "text_encoders" / "umt5_fp16.safetensors"
    assert find_parts(own).text_encoder is None


def test_experts_pair_by_name(models: Path) -> None:
    folder = models / "diffusion_models"
    high, low = (transformer(folder / f"Wan2_2-T2V-{word}_fp16.safetensors") for word in ("HIGH", "LOW"))
    for path in (high, low):
        parts = find_parts(path)
        assert (parts.transformer, parts.transformer_2) == (high, low)
    low.unlink()
    assert find_parts(high).transformer_2 is None
    transformer(folder / "slow.safetensors"), transformer(folder / "shigh.safetensors")
    assert find_parts(folder / "slow.safetensors").transformer_2 is None


def test_a_lone_file_has_no_parts_beside_it(tmp_path: Path) -> None:
    file = transformer(tmp_path / "alone.safetensors")
    vae(tmp_path / "vae.safetensors")
    parts = find_parts(file)
    assert (parts.transformer, parts.vae) == (file, None)
    refuses(parts, "vae", "has no VAE")
    assert parts.given("vae", tmp_path / "vae.safetensors").vae == tmp_path / "vae.safetensors"
    with pytest.raises(CheckpointError, match="no such file or folder, given as the VAE"):
        parts.given("vae", tmp_path / "none.safetensors")


def test_a_link_back_up_does_not_loop(models: Path) -> None:
    (models / "vae" / "loop").symlink_to(models / "vae", target_is_directory=True)
    assert find_parts(models / "diffusion_models" / "t2v.safetensors").vae == (
        models / "vae" / "wan_2.1_vae.safetensors"
    )


@pytest.mark.parametrize("name", ["t2v", "t2v.safetensors", "./t2v"])
def test_models_are_named_with_or_without_suffix(models: Path, name: str) -> None:
    assert find_model(models, name) == models / "diffusion_models" / "t2v.safetensors"


@pytest.mark.parametrize("name", ["sub/five", "sub\\five", "sub\\five.safetensors"])
def test_models_are_named_with_either_slash(models: Path, name: str) -> None:
    assert find_model(models, name) == models / "diffusion_models" / "sub" / "five.safetensors"


def test_a_model_can_be_a_folder(models: Path) -> None:
    transformer(models / "diffusion_models" / "Wan.2.1" / "diffusion_pytorch_model.safetensors")
    transformer(models / "Repository" / "diffusion_pytorch_model.safetensors")
    assert find_model(models, "Wan.2.1") == models / "diffusion_models" / "Wan.2.1"
    assert find_model(models, "Repository") == models / "Repository"


def test_an_unknown_model_names_near_ones(models: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no model 'tv2'; there is .*t2v\.safetensors"):
        find_model(models, "tv2")
    with pytest.raises(CheckpointError, match="diffusion_models/, unet/, checkpoints/ hold none"):
        find_model(models / "vae", "x")


def test_a_name_in_two_folders_is_ambiguous(models: Path) -> None:
    transformer(models / "unet" / "t2v.safetensors")
    message = "several models called 't2v' (diffusion_models/t2v.safetensors, unet/t2v.safetensors)"
    with pytest.raises(CheckpointError, match=re.escape(message)):
        find_model(models, "t2v")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "a/../../b", "..\\x", "a\0b"])
def test_a_name_cannot_lead_out_of_the_tree(models: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="accepted: the path of a model below it"):
        find_model(models, name)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file or folder"):
        find_parts(tmp_path / "none")
    with pytest.raises(CheckpointError, match="no such folder"):
        find_model(tmp_path / "none", "x")


def test_a_part_is_named_like_a_model(models: Path) -> None:
    file = text_encoder(models / "text_encoders" / "kijai" / "umt5-xxl-enc.safetensors")
    for name in ("kijai/umt5-xxl-enc", "kijai\\umt5-xxl-enc.safetensors", str(file)):
        assert find_part(models, "text_encoder", Path(name)) == file
    for name in ("none", "../x", "/none"):
        assert find_part(models, "text_encoder", Path(name)) == Path(name)
    text_encoder(models / "clip" / "kijai" / "umt5-xxl-enc.safetensors")
    with pytest.raises(CheckpointError, match="several files called 'kijai/umt5-xxl-enc'"):
        find_part(models, "text_encoder", Path("kijai/umt5-xxl-enc"))
