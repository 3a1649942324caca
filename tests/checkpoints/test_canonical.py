"""diffusers' names become upstream's, and back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints.synthetic import wan_shapes, write_headers
from wancore.checkpoints import open_view
from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.canonical import diffusers_map, in_diffusers_names, open_transformer, to_canonical
from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.layout import find_parts
from wancore.checkpoints.prefix import peel_prefix
from wancore.parity.case import Case, written_checkpoint

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
needs_goldens = pytest.mark.skipif(not GOLDEN.exists(), reason="the full golden set is not here")
FULL = wan_shapes(dim=8, ffn=16, layers=3, text_dim=8, clip=8, positions=4)


def in_diffusers(shapes: dict[str, list[int]]) -> dict[str, list[int]]:
    back = diffusers_map().inverse()
    return {back.rename(name): shape for name, shape in shapes.items()}


def test_every_base_name_goes_there_and_back(tmp_path: Path) -> None:
    theirs = in_diffusers(FULL)
    same = {name for name in FULL if name in theirs}
    assert same == {"patch_embedding.weight", "patch_embedding.bias"} and len(theirs) == len(FULL)
    view = open_view(write_headers(tmp_path / "x.safetensors", theirs))
    assert in_diffusers_names(view)
    assert {name: list(info.shape) for name, info in to_canonical(view).entries.items()} == FULL


def test_upstream_names_are_left_alone(tmp_path: Path) -> None:
    # Other models have layers with diffusers' top-level names.
    shapes = {**FULL, "proj_out.weight": [2, 2], "proj_out.0.weight": [2, 2], "blocks.0.norm2.weight": [2]}
    view = open_view(write_headers(tmp_path / "x.safetensors", shapes))
    assert to_canonical(view) is view


def test_unknown_names_stay_and_unused_ones_go(tmp_path: Path) -> None:
    kept = {"blocks.0.attn1.add_k_proj.weight": [2, 2], "extra.proj_out.weight": [2, 2]}
    shapes = {**in_diffusers(FULL), **kept, "blocks.0.attn2.norm_added_q.weight": [8]}
    view = to_canonical(open_view(write_headers(tmp_path / "x.safetensors", shapes)))
    assert set(view.entries) == {*FULL, *kept}


def test_an_adapter_adds_its_own_rules(tmp_path: Path) -> None:
    more = KeyMap.of(
        {"side_blocks.N.{proj_in,proj_out}.*": "side_blocks.N.{before,after}.*"}, ["side_unused"]
    )
    shapes = {**in_diffusers(FULL), "side_blocks.1.proj_out.weight": [2, 2], "side_unused": [1]}
    view = open_view(write_headers(tmp_path / "x.safetensors", shapes))
    assert set(to_canonical(view, more).entries) == {*FULL, "side_blocks.1.after.weight"}


@needs_goldens
def test_the_published_map_is_reproduced() -> None:
    case = Case.load(GOLDEN / "wan" / "diffusers_keys.safetensors")
    for ours, theirs in case.meta["map"].items():
        [[name, [part, parts]]] = theirs
        assert (part, parts) == (0, 1)
        assert diffusers_map().rename(name) == ours
        assert diffusers_map().inverse().rename(ours) == name


@needs_goldens
def test_renamed_weights_are_the_same_weights() -> None:
    case = Case.load(GOLDEN / "wan" / "diffusers_keys.safetensors")
    weights = case.weights()
    theirs = {case.meta["map"][ours][0][0]: array for ours, array in weights.items()}
    with written_checkpoint(theirs) as folder:
        view = open_transformer(folder)
        assert set(view.entries) == set(weights)
        with view.reader() as reader:
            for name, array in weights.items():
                assert np.array_equal(reader.tensor(name).numpy(), array)


@needs_goldens
@pytest.mark.parametrize(
    "name", ["original_sharded", "comfy_prefix_bf16", "diffusers_i2v", "fp8_e4m3fn_plain"]
)
def test_published_layouts_give_the_same_tensors_and_sizes(name: str) -> None:
    case = Case.load(GOLDEN / "_checkpoints" / f"{name}.safetensors")
    peeled = peel_prefix(open_view(find_parts(case.file(case.meta["files"][0])).require("transformer")))
    view = to_canonical(peeled.view)
    hashes = {}
    with view.reader() as reader:
        for key in view.entries:
            array = reader.tensor(key).to(torch.float32).contiguous().numpy()
            hashes[key] = hashlib.sha256(array.tobytes()).hexdigest()
    assert hashes == case.meta["sha256"]
    assert {k: list(view.shape(k)) for k in view.entries} == case.meta["keys"]
    detect = case.meta["detect"]
    assert peeled.prefix == detect["prefix"]
    if "num_heads" in detect:  # the single files of this width cannot tell
        config = transformer_config(view)
        found = {"clip_dim": config.image_dim, **vars(config)}
        assert {k: found[k] for k in detect if k in found} == {k: v for k, v in detect.items() if k in found}
