"""Files of every format are read into the same changes; what does not fit is refused by name."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.lora.adapters import low_rank, model, write
from tests.transformer.models import noise
from wancore.checkpoints.canonical import diffusers_map
from wancore.errors import CheckpointError
from wancore.lora.deltas import Dora, Full, LoHa, LoKr, LowRank
from wancore.lora.names import NameTable
from wancore.lora.read import LoraFile, Patch, read_lora

BASE = model()
SHAPES = {name: tuple(p.shape) for name, p in BASE.named_parameters()}
TABLE = NameTable(SHAPES)
PAIR = low_rank(BASE)
DIFFUSERS = diffusers_map().inverse()


def native(name: str) -> str:
    return name.removeprefix("diffusion_model.")


def to_diffusers(name: str) -> str:
    module, _, ending = native(name).partition(".lora_")
    if not ending:
        module, _, ending = native(name).rpartition(".")
        return f"transformer.{DIFFUSERS.rename(module + '.weight').removesuffix('.weight')}.{ending}"
    return f"transformer.{DIFFUSERS.rename(module + '.weight').removesuffix('.weight')}.lora_{ending}"


def underscored(prefix: str) -> Callable[[str], str]:
    def rename(name: str) -> str:
        for ending in (".lora_down.weight", ".lora_up.weight", ".alpha"):
            if name.endswith(ending):
                return prefix + native(name).removesuffix(ending).replace(".", "_") + ending
        raise AssertionError(name)

    return rename


def ab(name: str) -> str:
    return name.replace("lora_down", "lora_A").replace("lora_up", "lora_B")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "comfy": lambda n: n,
    "comfy A and B": ab,
    "whole checkpoint": lambda n: "model." + n,
    "bare": native,
    "diffusers": lambda n: ab(to_diffusers(n)),
    "diffusers downs": to_diffusers,
    "musubi": underscored("lora_unet_"),
    "fun": underscored("lora_unet__"),
    "lycoris": underscored("lycoris_"),
    "underscored diffusers": lambda n: underscored("lora_unet_")(
        to_diffusers(n).removeprefix("transformer.")
    ),
    "diffsynth": lambda n: ab(native(n)).replace(".weight", ".default.weight"),
    "diffsynth pipe": lambda n: "pipe.dit." + ab(native(n)),
    "compiled": lambda n: ab(native(n)).replace("blocks.", "_orig_mod.blocks."),
    "without weight": lambda n: ab(n).removesuffix(".weight"),
    "lora.down": lambda n: n.replace(".lora_down", ".lora.down").replace(".lora_up", ".lora.up"),
    "_lora.down": lambda n: n.replace(".lora_down", "_lora.down").replace(".lora_up", "_lora.up"),
    "linear layer": lambda n: n.replace(".lora_", ".lora_linear_layer."),
}


def by_parameter(file: LoraFile) -> dict[str, Patch]:
    assert len({p.parameter for p in file.patches}) == len(file.patches)
    return {patch.parameter: patch for patch in file.patches}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_means_the_same(spelling: str, tmp_path: Path) -> None:
    rename = SPELLINGS[spelling]
    file = read_lora(write(tmp_path / "a.safetensors", {rename(n): t for n, t in PAIR.items()}), TABLE)
    found = by_parameter(file)
    assert len(found) == 20 and not file.notes
    for name, patch in found.items():
        assert isinstance(patch.delta, LowRank) and patch.shape == SHAPES[name]
        start = f"diffusion_model.{name.removesuffix('.weight')}"
        assert torch.equal(patch.delta.down, PAIR[start + ".lora_down.weight"])
        assert torch.equal(patch.delta.up, PAIR[start + ".lora_up.weight"])
        assert patch.delta.scale == pytest.approx(0.5)


def test_attention_one_is_self_attention(tmp_path: Path) -> None:
    """diffusers' attn1 and attn2 must not land on one module."""
    names = {ab(to_diffusers(n)) for n in PAIR}
    assert any(".attn1." in n for n in names) and any(".attn2." in n for n in names)
    pair = {n: t for n, t in PAIR.items() if "blocks.0.self_attn.q." in n}
    found = read_lora(write(tmp_path / "a.safetensors", {to_diffusers(n): t for n, t in pair.items()}), TABLE)
    assert [p.parameter for p in found.patches] == ["blocks.0.self_attn.q.weight"]


def test_attached_modules_have_names_too(tmp_path: Path) -> None:
    table = NameTable({**SHAPES, "vace_blocks.1.self_attn.q.weight": (48, 48)})
    pair = {"lora_down.weight": noise(2, 48), "lora_up.weight": noise(48, 2)}
    for number, start in enumerate(("vace_blocks.1.self_attn.q.", "lora_unet_vace_blocks_1_self_attn_q.")):
        path = write(tmp_path / f"{number}.safetensors", {start + n: t for n, t in pair.items()})
        (patch,) = read_lora(path, table).patches
        assert patch.parameter == "vace_blocks.1.self_attn.q.weight"


def test_differences_of_weights_biases_and_modulation(tmp_path: Path) -> None:
    wanted = {
        "blocks.0.norm3.diff": "blocks.0.norm3.weight",
        "blocks.0.norm3.diff_b": "blocks.0.norm3.bias",
        "blocks.1.diff_m": "blocks.1.modulation",
        "head.diff_m": "head.modulation",
        "head.diff": "head.head.weight",
        "head.diff_b": "head.head.bias",
        "patch_embedding.diff": "patch_embedding.weight",
        "blocks.0.self_attn.norm_q.diff": "blocks.0.self_attn.norm_q.weight",
    }
    tensors = {f"diffusion_model.{key}": noise(*SHAPES[name]) for key, name in wanted.items()}
    found = by_parameter(read_lora(write(tmp_path / "a.safetensors", tensors), TABLE))
    assert set(found) == set(wanted.values())
    assert all(isinstance(patch.delta, Full) and patch.delta.scale == 1 for patch in found.values())


def one(tmp_path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Patch:
    """The only change in a file of `tensors` of blocks.0.ffn.0 [80, 48]."""
    path = write(tmp_path / "a.safetensors", {f"blocks.0.ffn.0.{n}": t for n, t in tensors.items()}, metadata)
    (patch,) = read_lora(path, TABLE).patches
    return patch


PLAIN = {"lora_A.weight": noise(4, 48), "lora_B.weight": noise(80, 4)}


def test_a_bias_of_the_up_matrix_scales_with_it(tmp_path: Path) -> None:
    tensors = {**PLAIN, "lora_B.bias": noise(80), "alpha": torch.tensor(2.0)}
    path = write(tmp_path / "a.safetensors", {f"blocks.0.ffn.0.{n}": t for n, t in tensors.items()})
    found = by_parameter(read_lora(path, TABLE))
    bias = found["blocks.0.ffn.0.bias"].delta
    assert isinstance(bias, Full) and bias.scale == 0.5


@pytest.mark.parametrize(
    ("factors", "scale"),
    [
        ({"lokr_w1": (8, 6), "lokr_w2": (10, 8)}, 1.0),
        ({"lokr_w1": (8, 6), "lokr_w2_a": (10, 2), "lokr_w2_b": (2, 8)}, 4.0),
        ({"lokr_w1_a": (8, 4), "lokr_w1_b": (4, 6), "lokr_w2": (10, 8)}, 2.0),
        ({"lokr_w1_a": (8, 4), "lokr_w1_b": (4, 6), "lokr_w2_a": (10, 2), "lokr_w2_b": (2, 8)}, 4.0),
    ],
)
def test_lokr_scales_by_the_rank_of_what_is_factored(
    factors: dict[str, tuple[int, ...]], scale: float, tmp_path: Path
) -> None:
    delta = one(tmp_path, {n: noise(*s) for n, s in factors.items()} | {"alpha": torch.tensor(8.0)}).delta
    assert isinstance(delta, LoKr) and delta.scale == scale


def test_loha(tmp_path: Path) -> None:
    shapes = {"hada_w1_a": (80, 4), "hada_w1_b": (4, 48), "hada_w2_a": (80, 4), "hada_w2_b": (4, 48)}
    delta = one(tmp_path, {n: noise(*s) for n, s in shapes.items()} | {"alpha": torch.tensor(1.0)}).delta
    assert isinstance(delta, LoHa) and delta.scale == 0.25


def test_dora(tmp_path: Path) -> None:
    delta = one(tmp_path, {**PLAIN, "dora_scale": noise(80, 1)}).delta
    assert isinstance(delta, Dora) and not delta.original_norm
    delta = one(tmp_path, {**PLAIN, "lora_magnitude_vector": noise(80)}).delta
    assert isinstance(delta, Dora)


def config(**fields: object) -> dict[str, str]:
    return {"lora_adapter_metadata": json.dumps({f"transformer.{k}": v for k, v in fields.items()})}


@pytest.mark.parametrize(
    ("metadata", "scale"),
    [
        (None, 1.0),
        (config(r=4, lora_alpha=8), 2.0),
        (config(r=4, lora_alpha=8, use_rslora=True), 4.0),
        (config(r=4, lora_alpha=8, alpha_pattern={"ffn.0": 1}), 0.25),
        (config(r=4, lora_alpha=8, alpha_pattern={"^ffn.0": 1}), 2.0),
        (config(r=4, lora_alpha=8, alpha_pattern={"^blocks\\.0\\.ffn\\.0": 1}), 0.25),
        (config(r=4, lora_alpha=8, alpha_pattern={"blocks.*ffn.*": 1}), 0.25),
        (config(r=4, lora_alpha=8, alpha_pattern={"blocks.*attn.*": 1}), 2.0),
        ({"ss_network_alpha": "16", "ss_network_dim": "32"}, 0.5),
        ({"ss_network_alpha": "16"}, 4.0),
    ],
)
def test_scales_from_the_header(metadata: dict[str, str] | None, scale: float, tmp_path: Path) -> None:
    delta = one(tmp_path, PLAIN, metadata).delta
    assert isinstance(delta, LowRank) and delta.scale == scale


def test_an_alpha_of_its_own_goes_before_the_header(tmp_path: Path) -> None:
    delta = one(tmp_path, {**PLAIN, "alpha": torch.tensor(1.0)}, config(r=4, lora_alpha=8)).delta
    assert isinstance(delta, LowRank) and delta.scale == 0.25


def test_an_alpha_of_zero_is_no_effect_and_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {
        "blocks.0.ffn.0.lora_down.weight": noise(4, 48), "blocks.0.ffn.0.lora_up.weight": noise(80, 4),
        "blocks.0.ffn.0.alpha": torch.tensor(0.0),
    })  # fmt: skip
    file = read_lora(path, TABLE)
    (patch,) = file.patches
    assert isinstance(patch.delta, LowRank) and patch.delta.scale == 0
    assert any("alpha is 0" in note for note in file.notes)


@pytest.mark.parametrize("beside", [None, {"r": 4, "lora_alpha": 2}])
def test_raw_peft(beside: dict[str, int] | None, tmp_path: Path) -> None:
    """The configuration beside the file counts; without it, the wrapper's guess, said to be one."""
    if beside is not None:
        (tmp_path / "adapter_config.json").write_text(json.dumps(beside))
    tensors = {f"base_model.model.blocks.0.ffn.0.{n}": t for n, t in PLAIN.items()}
    file = read_lora(write(tmp_path / "adapter_model.safetensors", tensors), TABLE)
    (patch,) = file.patches
    assert isinstance(patch.delta, LowRank)
    assert patch.delta.scale == (0.5 if beside else math.floor(4**1.5) / 4)
    assert ("assumed" in file.notes[0]) == (beside is None)


def test_experts_of_diffusers_files(tmp_path: Path) -> None:
    tensors = {f"{start}.blocks.0.ffn.net.0.proj.{n}": t for n, t in PLAIN.items()
               for start in ("transformer", "transformer_2")}  # fmt: skip
    patches = read_lora(write(tmp_path / "a.safetensors", tensors), TABLE).patches
    assert sorted((p.parameter, p.second_expert) for p in patches) == [
        ("blocks.0.ffn.0.weight", False), ("blocks.0.ffn.0.weight", True),
    ]  # fmt: skip


def test_image_keys_are_left_out_of_a_text_model_and_said(tmp_path: Path) -> None:
    tensors = {f"lora_unet_blocks_0_ffn_0.{n}": t for n, t in PLAIN.items()} | {
        "lora_unet_blocks_0_cross_attn_k_img.lora_A.weight": noise(2, 48),
        "lora_unet_blocks_0_cross_attn_k_img.lora_B.weight": noise(48, 2),
        "lora_unet_img_emb_proj_1.alpha": torch.tensor(1.0),
    }
    file = read_lora(write(tmp_path / "a.safetensors", tensors), TABLE)
    assert len(file.patches) == 1 and len(file.left_out) == 3 and "image branch" in file.notes[0]


def test_unmatched_keys_are_refused_or_reported(tmp_path: Path) -> None:
    tensors = {f"blocks.0.ffn.0.{n}": t for n, t in PLAIN.items()} | {
        "lora_te_text_model_fc1.lora_A.weight": noise(2, 4), "whatever": noise(3),
        "blocks.7.ffn.0.lora_A.weight": noise(2, 48),
    }  # fmt: skip
    path = write(tmp_path / "a.safetensors", tensors)
    with pytest.raises(CheckpointError, match=r"3 keys of no module of it \(.*\); 1 modules fit"):
        read_lora(path, TABLE)
    file = read_lora(path, TABLE, allow_unmatched=True)
    assert len(file.patches) == 1 and len(file.unmatched) == 3 and "left out" in file.notes[0]


MISTAKES: dict[str, tuple[dict[str, Tensor], str]] = {
    "no up": ({"lora_A.weight": noise(4, 48)}, "has no up matrix"),
    "no down": ({"lora_B.weight": noise(80, 4)}, "has no down matrix"),
    "ranks differ": ({"lora_A.weight": noise(4, 48), "lora_B.weight": noise(80, 3)}, "is no \\[80, 48\\]"),
    "another width": ({"lora_A.weight": noise(4, 40), "lora_B.weight": noise(80, 4)}, "does not fit"),
    "twice the width": ({"lora_A.weight": noise(4, 96), "lora_B.weight": noise(80, 4)}, "does not fit"),
    "alpha alone": ({"alpha": torch.tensor(1.0)}, "stands alone"),
    "alpha of two": ({**PLAIN, "alpha": torch.ones(2)}, "has 2 values, not one"),
    "alpha not finite": ({**PLAIN, "alpha": torch.tensor(math.nan)}, "infinite values or NaN"),
    "not finite": ({**PLAIN, "lora_A.weight": torch.full((4, 48), math.inf)}, "infinite values or NaN"),
    "integers": ({**PLAIN, "lora_A.weight": torch.ones(4, 48, dtype=torch.int32)}, "not floats"),
    "empty": ({"lora_A.weight": noise(0, 48), "lora_B.weight": noise(80, 0)}, "impossible shape"),
    "half a kronecker": ({"lokr_w1": noise(8, 6)}, "stands alone"),
    "half a factor": ({"lokr_w1": noise(8, 6), "lokr_w2_a": noise(10, 2)}, "stands alone"),
    "half a product": ({"hada_w1_a": noise(80, 2), "hada_w1_b": noise(2, 48)}, "stands alone"),
    "magnitude alone": ({"dora_scale": noise(80, 1)}, "stands alone"),
    "no modulation": ({"diff_m": noise(1, 6, 48)}, "has no modulation"),
    "same twice": ({**PLAIN, "lora_down.weight": noise(4, 48)}, "are the same tensor"),
    "huge kronecker": ({"lokr_w1": noise(8, 6), "lokr_w2": noise(1000, 1000)}, "is no"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake: str, tmp_path: Path) -> None:
    tensors, message = MISTAKES[mistake]
    path = write(tmp_path / "a.safetensors", {f"blocks.0.ffn.0.{n}": t for n, t in tensors.items()})
    with pytest.raises(CheckpointError, match=message) as error:
        read_lora(path, TABLE)
    assert str(path) in str(error.value) and "blocks.0.ffn.0." in str(error.value)


HEADERS = {
    "not JSON": {"lora_adapter_metadata": "{"},
    "not a mapping": {"lora_adapter_metadata": "[1]"},
    "deep": {"lora_adapter_metadata": "[" * 100_000},
    "text for a number": config(lora_alpha="8"),
    "patterns of another kind": config(lora_alpha=8, alpha_pattern=[1]),
    "an expression": config(lora_alpha=8, alpha_pattern={"(a+)+$": 1}),
    "no number": {"ss_network_alpha": "None"},
    "no rank": {"ss_network_alpha": "1", "ss_network_dim": "0"},
}


@pytest.mark.parametrize("header", HEADERS)
def test_malformed_headers_are_refused(header: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        one(tmp_path, PLAIN, HEADERS[header])


def test_a_file_that_is_no_file_of_tensors(tmp_path: Path) -> None:
    pickle = tmp_path / "a.pt"
    pickle.write_bytes(b"\x80\x04cposix\nsystem\n")
    truncated = tmp_path / "b.safetensors"
    truncated.write_bytes(struct.pack("<Q", 10**12) + b"{}")
    for path in (pickle, truncated, tmp_path / "missing.safetensors"):
        with pytest.raises(CheckpointError, match=str(path)):
            read_lora(path, TABLE)


@pytest.mark.parametrize(
    ("key", "family"),
    [
        ("blocks.0.self_attn.q_loras.down.weight", "standin"),
        ("dwpose_embedding.0.weight", "unianimate"),
        ("randomref_embedding_pose.0.weight", "unianimate"),
    ],
)
def test_files_of_families_that_only_look_like_adapters(key: str, family: str, tmp_path: Path) -> None:
    tensors = {key: noise(4, 4), **{f"blocks.0.ffn.0.{n}": t for n, t in PLAIN.items()}}
    with pytest.raises(CheckpointError, match=f"belongs to the family {family}.*is no LoRA"):
        read_lora(write(tmp_path / "a.safetensors", tensors), TABLE)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        read_lora(path, TABLE)


@given(st.text(max_size=60))
def test_any_name_is_placed_or_not(name: str) -> None:
    """Hostile names neither crash nor match: only names made from the model's own do."""
    from wancore.lora.keys import parse_key, place

    key = parse_key(name)
    assert key is None or place(key.stem, TABLE, False) is None or key.stem in name
