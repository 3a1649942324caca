"""Files are named by their keys, also when no plugin for them is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkpoints.synthetic import Shapes, wan_shapes, write_headers
from tests.checkpoints.test_canonical import GOLDEN, in_diffusers, needs_goldens
from wancore.checkpoints import open_view
from wancore.checkpoints.components import component_claims
from wancore.checkpoints.header import read_header
from wancore.checkpoints.known import distribution_of, entries, known_families
from wancore.checkpoints.prefix import peel_prefix

SMALL = wan_shapes(dim=8, ffn=16, layers=1, text_dim=8)
AUDIO: Shapes = {"audio_proj.proj1_vf.weight": [2, 2], "blocks.0.audio_cross_attn.kv_linear.weight": [4, 2]}


def known(
    tmp_path: Path, shapes: Shapes, name: str = "x.safetensors"
) -> tuple[list[tuple[str, str, str]], set[str]]:
    found = known_families(peel_prefix(open_view(write_headers(tmp_path / name, shapes))).view)
    return [(f.family, f.kind, f.decided_by) for f in found.fits], set(found.same_keys)


def test_a_plain_model_is_the_general_family_s_with_what_else_it_could_be(tmp_path: Path) -> None:
    fits, same_keys = known(tmp_path, {f"model.diffusion_model.{k}": v for k, v in SMALL.items()})
    assert fits == [("wan", "base", "keys")] and {"phantom", "mocha", "echoshot", "skyreels"} == same_keys
    assert known(tmp_path, in_diffusers(SMALL))[0] == fits


def test_a_file_name_chooses_between_families_with_the_same_keys(tmp_path: Path) -> None:
    fits, same_keys = known(tmp_path, SMALL, "Phantom-Wan-1_3B_fp16.safetensors")
    assert fits == [("phantom", "base", "hint")] and "wan" not in same_keys and "mocha" in same_keys
    assert known(tmp_path, AUDIO)[0] == []
    assert known(tmp_path, AUDIO)[1] == {"infinitetalk", "multitalk"}
    assert known(tmp_path, AUDIO, "Wan2_1-InfiniteTalk_Single.safetensors")[0] == [
        ("infinitetalk", "module", "hint")
    ]


@pytest.mark.parametrize(
    ("extra", "family"),
    [
        ({"vace_blocks.0.after_proj.weight": [2]}, "vace"),
        ({"blocks.0.cam_encoder.weight": [2]}, "recammaster"),
        ({"image_to_cond.conv_in.bias": [2]}, "onetoall"),
        ({"LQ_proj_in.norm1.gamma": [2]}, "flashvsr"),
        ({"audio_proj.audio_proj_glob_1.layer.weight": [2]}, "humo"),
    ],
)
def test_extra_keys_name_a_family_alone_or_merged(tmp_path: Path, extra: Shapes, family: str) -> None:
    assert known(tmp_path, {**SMALL, **extra})[0] == [(family, "merged", "keys")]
    assert known(tmp_path, extra)[0] == [(family, "module", "keys")]


def test_input_channels_tell_families_with_the_base_s_names(tmp_path: Path) -> None:
    control = wan_shapes(dim=8, ffn=16, layers=1, in_dim=48, text_dim=8, clip=8)
    assert known(tmp_path, control)[0] == [("fun", "base", "keys")]
    relight = wan_shapes(dim=1536, ffn=16, layers=1, in_dim=48, text_dim=8)
    assert known(tmp_path, relight)[0] == [("unilumos", "base", "keys")]


def test_every_entry_can_match_and_names_what_to_install() -> None:
    for entry in entries():
        fingerprint = entry.fingerprint
        assert fingerprint.all or fingerprint.any
        assert entry.distribution is None or entry.distribution.startswith("wancore-")
        assert distribution_of(entry.family) == entry.distribution


# What the cases of each component group are files of.
COMPONENT_GROUPS = {
    "_vae": {"vae", "preview"},
    "_encoders": {"text_encoder", "image_encoder", "audio_encoder"},
}


def golden_keys() -> Iterator[tuple[str, str, dict[str, list[int]]]]:
    """(family, case, key shapes) of every reference case that describes one checkpoint."""
    for file in sorted(GOLDEN.glob("*/*.safetensors")):
        meta = json.loads(read_header(file).metadata["case"])
        keys = meta.get("keys", {})
        if keys and not any("/" in key for key in keys):
            yield meta["family"], file.stem, keys


@needs_goldens
def test_reference_checkpoints_are_recognised(tmp_path: Path) -> None:
    wrong = []
    for family, name, keys in golden_keys():
        view = peel_prefix(open_view(write_headers(tmp_path / "x.safetensors", keys))).view
        named = [found.family for found in known_families(view).fits]
        claims = component_claims(view)
        if family in COMPONENT_GROUPS:
            right = len(claims) == 1 and claims[0].role in COMPONENT_GROUPS[family] and claims[0].width
        elif family.startswith("_"):
            right = not claims and named == ["wan"] * plain(keys)
        else:  # a case may hold only parts, or a base with the keys of the plain model
            right = named in ([], [family]) or (named == ["wan"] and plain(keys))
        if not right:
            wrong.append((family, name, named, claims))
    assert wrong == []


def plain(keys: Shapes) -> bool:
    base = ("blocks.", "patch_emb", "text_emb", "time_", "head.", "img_emb.")
    return "patch_embedding.weight" in keys and all(key.startswith(base) for key in keys)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("transformer.blocks.0.attn1.to_q.lora_A.weight", "LoRA"),
        ("diffusion_model.blocks.0.self_attn.q.lora_down.weight", "LoRA"),
        ("lora_unet_blocks_0_self_attn_q.lora_up.weight", "LoRA"),
        ("blocks.0.self_attn.q.lora_B.default.weight", "LoRA"),
        ("lycoris_blocks_0_self_attn_q.lokr_w1", "LoKr"),
        ("diffusion_model.blocks.0.self_attn.q.hada_w1_a", "LoHa"),
        ("diffusion_model.blocks.0.diff_m", "weight differences"),
    ],
)
def test_lora_files_are_told_by_key_shape(tmp_path: Path, key: str, name: str) -> None:
    view = peel_prefix(open_view(write_headers(tmp_path / "x.safetensors", {key: [2, 2]}))).view
    [claim] = component_claims(view)
    assert (claim.role, claim.name) == ("lora", name)


def test_a_t5_of_another_model_is_no_text_encoder_of_ours(tmp_path: Path) -> None:
    # T5 shares the relative position bias of block 0; UMT5 has one in every block.
    t5 = {
        "shared.weight": [4, 2],
        "encoder.final_layer_norm.weight": [2],
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": [2, 2],
        "encoder.block.0.layer.1.DenseReluDense.wi_1.weight": [2, 2],
    }
    view = open_view(write_headers(tmp_path / "x.safetensors", t5))
    assert component_claims(view) == []
    umt5 = {**t5, "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight": [2, 2]}
    [claim] = component_claims(open_view(write_headers(tmp_path / "y.safetensors", umt5)))
    assert (claim.role, claim.width) == ("text_encoder", 2)
