"""Writing safetensors a tensor at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from wancore.checkpoints import open_view
from wancore.checkpoints.mapped import DTYPES
from wancore.checkpoints.writer import Planned, in_file_order, writing
from wancore.errors import CheckpointError


def test_every_dtype_is_written_aligned_and_read_by_the_library(tmp_path: Path) -> None:
    tensors = {name: torch.arange(5).to(dtype).reshape(5, 1) for name, dtype in DTYPES.items()}
    tensors |= {"empty": torch.zeros(0, 3), "scalar": torch.tensor(2.0)}
    planned = in_file_order({name: Planned(t.dtype, tuple(t.shape)) for name, t in tensors.items()})
    with writing(tmp_path / "x.safetensors", planned, {"made": "here"}) as writer:
        for name in planned:
            writer.write(name, tensors[name])
    view, again = open_view(tmp_path / "x.safetensors"), load_file(tmp_path / "x.safetensors")
    assert view.metadata == {"format": "pt", "made": "here"}
    for name, tensor in tensors.items():
        read = view.tensor(name)
        assert read.dtype == tensor.dtype and read.shape == tensor.shape == again[name].shape
        assert torch.equal(read.reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))


def test_another_tensor_than_planned_leaves_no_file(tmp_path: Path) -> None:
    planned = {"a": Planned(torch.float32, (2,)), "b": Planned(torch.float32, (2,))}
    for tensors, problem in (
        ({"b": torch.ones(2)}, "a torch.float32"),
        ({"a": torch.ones(3)}, "was planned, not a"),
        ({"a": torch.ones(2)}, "1 tensors were planned and not written"),
    ):
        with (
            pytest.raises(ValueError, match=problem),
            writing(tmp_path / "x.safetensors", planned) as writer,
        ):
            for name, tensor in tensors.items():
                writer.write(name, tensor)
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(CheckpointError, match="cannot be written"),
        writing(tmp_path / "no" / "x.safetensors", {}),
    ):
        pass
