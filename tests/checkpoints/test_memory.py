"""Estimates of what a load takes, and the refusal of one that cannot fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.checkpoints.synthetic import wan_shapes, write_headers
from wancore.checkpoints import open_view
from wancore.checkpoints.memory import available_memory, check_fits, estimate
from wancore.errors import CheckpointError


def test_floats_count_in_the_dtype_they_become(tmp_path: Path) -> None:
    shapes = {"a": [10, 10], "b": [6], "ids": [3]}
    dtypes = {"a": "F8_E4M3", "b": "F32", "ids": "I64"}
    view = open_view(write_headers(tmp_path / "x.safetensors", shapes, dtypes))
    assert estimate(view, None) == 100 + 24 + 24
    assert estimate(view, torch.bfloat16) == 200 + 12 + 24
    assert estimate([view, view], torch.float32) == 2 * (400 + 24 + 24)


def test_a_model_that_does_not_fit_is_refused_before_loading(tmp_path: Path) -> None:
    shapes = wan_shapes(5120, 13824, 40, in_dim=36, clip=1280)
    view = open_view(write_headers(tmp_path / "14b.safetensors", shapes))
    message = r"14b\.safetensors: needs 32\.8 GB of memory as bfloat16, 24\.0 GB are free"
    with pytest.raises(CheckpointError, match=message):
        check_fits(view, torch.bfloat16, available=24_000_000_000)
    check_fits(view, torch.bfloat16, available=33_000_000_000)
    with pytest.raises(CheckpointError, match=r"needs 65\.6 GB of memory as bfloat16"):
        check_fits([view, view], torch.bfloat16, available=33_000_000_000)
    check_fits([], torch.bfloat16, available=0)


def test_a_small_model_fits_this_host(tmp_path: Path) -> None:
    view = open_view(write_headers(tmp_path / "x.safetensors", {"a": [2, 2]}))
    check_fits(view, torch.float32)
    free = available_memory()
    assert free is None or free > 1_000_000


def test_the_lower_of_host_and_container_counts(tmp_path: Path) -> None:
    meminfo, cgroup = tmp_path / "meminfo", tmp_path / "cgroup"
    cgroup.mkdir()
    meminfo.write_text("MemTotal: 900 kB\nMemAvailable:    500 kB\n")
    assert available_memory(meminfo, cgroup) == 500 * 1024
    (cgroup / "memory.current").write_text("300000\n")
    (cgroup / "memory.stat").write_text("anon 1\nactive_file 50000\ninactive_file 50000\n")
    (cgroup / "memory.max").write_text("max\n")
    assert available_memory(meminfo, cgroup) == 500 * 1024
    (cgroup / "memory.max").write_text("400000\n")
    assert available_memory(meminfo, cgroup) == 200_000
    (cgroup / "memory.max").write_text("100000\n")
    assert available_memory(meminfo, cgroup) == 0
    assert available_memory(tmp_path / "none", tmp_path / "none") != 0  # counted by the system, or unknown
