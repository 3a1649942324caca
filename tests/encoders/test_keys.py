from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from wancore.checkpoints import FileView, open_view
from wancore.checkpoints.keymap import KeyMap
from wancore.encoders.keys import Layout, canonical, count, shape
from wancore.errors import CheckpointError

LAYOUT = Layout(
    anchor="stem.weight",
    names=KeyMap.of(
        {"stem.{weight,copy}": "{first,first}", "blocks.N.qkv.*": "layer.N.*", "rest.**": "**"},
        unused=["head.**"],
    ),
)


def view(tmp_path: Path, *names: str) -> FileView:
    save_file({name: torch.arange(4.0) for name in names}, tmp_path / "a.safetensors")
    return open_view(tmp_path / "a.safetensors")


def test_names_are_mapped_left_out_and_kept(tmp_path: Path) -> None:
    mapped = canonical(
        view(tmp_path, "stem.weight", "blocks.12.qkv.bias", "rest.a.b", "head.x.y", "unknown"),
        [LAYOUT],
        "thing",
    )
    assert sorted(mapped.entries) == ["a.b", "first", "layer.12.bias", "unknown"]


def test_a_prefix_selects_one_model_of_many(tmp_path: Path) -> None:
    mapped = canonical(view(tmp_path, "m.stem.weight", "m.rest.a", "other.weight"), [LAYOUT], "thing")
    assert sorted(mapped.entries) == ["a", "first"]


def test_two_names_of_one_tensor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"key 'stem.*': and another tensor would both be named 'first'"
    ):
        canonical(view(tmp_path, "stem.weight", "stem.copy"), [LAYOUT], "thing")


def test_a_file_of_something_else_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no thing: none of its keys is 'stem\.weight'"):
        canonical(view(tmp_path, "weight"), [LAYOUT], "thing")


def test_sizes_are_read_only_from_tensors_that_have_them(tmp_path: Path) -> None:
    one = view(tmp_path, "layers.0.w", "layers.3.w")
    assert count(one, "layers") == 4
    with pytest.raises(CheckpointError, match=r"holds no blocks\.0"):
        count(one, "blocks")
    with pytest.raises(CheckpointError, match=r"'layers\.0\.w': has shape \[4\]; accepted: 2 dimensions"):
        shape(one, "layers.0.w", 2)
    with pytest.raises(CheckpointError, match=r"'layers\.1\.w': is missing"):
        shape(one, "layers.1.w", 1)
