"""Tensors seen in parts and in other shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from wancore.checkpoints import FileView, open_view
from wancore.errors import CheckpointError


def fused(tmp_path: Path, rows: int) -> tuple[torch.Tensor, FileView]:
    tensor = torch.arange(rows * 2.0).reshape(rows, 2)
    save_file({"qkv": tensor, "other": torch.ones(3)}, tmp_path / "fused.safetensors")
    return tensor, open_view(tmp_path / "fused.safetensors")


@given(height=st.integers(1, 5), parts=st.integers(1, 4))
@settings(deadline=None, max_examples=20)
def test_blocks_follow_each_other(tmp_path_factory: pytest.TempPathFactory, height: int, parts: int) -> None:
    tensor, view = fused(tmp_path_factory.mktemp("rows"), height * parts)
    names = [f"part{i}" for i in range(parts)]
    split = view.split_rows({"qkv": names})
    assert set(split.entries) == {"other", *names}
    assert torch.equal(torch.cat([split.tensor(name) for name in names]), tensor)
    assert all(split.shape(name) == tuple(split.tensor(name).shape) for name in names)
    assert sum(split.entries[name].nbytes for name in names) == view.entries["qkv"].nbytes


def test_a_split_view_can_be_renamed_and_split_again(tmp_path: Path) -> None:
    tensor, view = fused(tmp_path, 8)
    halves = view.split_rows({"qkv": ("a", "b")}).renamed({"b": "second"})
    quarters = halves.split_rows({"second": ("third", "fourth")})
    assert list(quarters.entries) == ["third", "fourth"]
    assert torch.equal(quarters.tensor("fourth"), tensor[6:])


def test_uneven_rows_are_refused(tmp_path: Path) -> None:
    _, view = fused(tmp_path, 7)
    with pytest.raises(CheckpointError, match=r"'qkv'.*\[7, 2\] does not split into 3 row blocks"):
        view.split_rows({"qkv": ("q", "k", "v")})


def test_the_same_bytes_in_another_shape(tmp_path: Path) -> None:
    tensor, view = fused(tmp_path, 6)
    parts = view.split_rows({"qkv": ("a", "b")}).reshaped({"b": (1, 2, 3)})
    assert parts.shape("b") == (1, 2, 3)
    assert torch.equal(parts.tensor("b"), tensor[3:].reshape(1, 2, 3))
    with pytest.raises(CheckpointError, match=r"'a'.*\[3, 2\] cannot be seen as \[7\]"):
        parts.reshaped({"a": (7,)})
