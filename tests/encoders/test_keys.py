from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from wancore.checkpoints import FileView, open_view
from wancore.encoders.keys import Layout, canonical, count, rename, shape
from wancore.errors import CheckpointError

LAYOUT = Layout(
    anchor="stem.weight",
    renames=(
        rename("stem.weight", "first"),
        rename("stem.copy", "first"),
        rename("blocks.N.qkv.*", "layer.N.q.*", "layer.N.k.*"),
        rename("rest.**", "**"),
    ),
    unused=("head.**",),
)


def view(tmp_path: Path, *names: str) -> FileView:
    save_file({name: torch.arange(4.0) for name in names}, tmp_path / "a.safetensors")
    return open_view(tmp_path / "a.safetensors")


def test_names_are_mapped_split_left_out_and_kept(tmp_path: Path) -> None:
    mapped = canonical(
        view(tmp_path, "stem.weight", "blocks.12.qkv.bias", "rest.a.b", "head.x.y", "unknown"),
        [LAYOUT],
        "thing",
    )
    assert sorted(mapped.entries) == ["a.b", "first", "layer.12.k.bias", "layer.12.q.bias", "unknown"]
    assert mapped.tensor("layer.12.k.bias").tolist() == [2.0, 3.0]


def test_a_prefix_selects_one_model_of_many(tmp_path: Path) -> None:
    mapped = canonical(view(tmp_path, "m.stem.weight", "m.rest.a", "other.weight"), [LAYOUT], "thing")
    assert sorted(mapped.entries) == ["a", "first"]


def test_a_wild_segment_is_a_whole_one(tmp_path: Path) -> None:
    mapped = canonical(view(tmp_path, "stem.weight", "blocks.x.qkv.bias", "blocks.1.qkv.a.b"), [LAYOUT], "")
    assert {"blocks.x.qkv.bias", "blocks.1.qkv.a.b"} <= set(mapped.entries)


def test_two_names_of_one_tensor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"key 'stem.*': means the same tensor as 'stem"):
        canonical(view(tmp_path, "stem.weight", "stem.copy"), [LAYOUT], "thing")


def test_a_file_of_something_else_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no thing: none of its keys is 'stem\.weight'"):
        canonical(view(tmp_path, "weight"), [LAYOUT], "thing")


def test_sizes_are_read_only_from_tensors_that_have_them(tmp_path: Path) -> None:
    one = view(tmp_path, "layers.0.w", "layers.3.w")
    assert count(one, "layers") == 4
    with pytest.raises(CheckpointError, match=r"holds no blocks\.0"):
        count(one, "blocks")
    with pytest.raises(CheckpointError, match=r"'layers\.0\.w': has shape \[4\], not 2 dimensions"):
        shape(one, "layers.0.w", 2)
    with pytest.raises(CheckpointError, match=r"'layers\.1\.w': is missing"):
        shape(one, "layers.1.w", 1)
