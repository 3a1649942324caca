"""What a worker takes of the memory, and when that has grown."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wancore_server.worker.level import MemoryLevel, device_memory

SIZES = st.integers(0, 2**40)


@given(share=st.floats(0, 1), least=SIZES, first=SIZES, later=st.lists(SIZES, max_size=5))
def test_growth_is_over_the_first_level(share: float, least: int, first: int, later: list[int]) -> None:
    level = MemoryLevel(share, least)
    assert not level.over(("a",), "process", first)
    for size in later:
        grown = size > first + share * first and size > first + least
        assert level.over(("a",), "process", size) == grown
        assert not MemoryLevel(share, least).over(("b",), "process", size)  # other models: another level


def test_asking_while_torch_is_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats are sent from a thread of their own, also in this moment."""
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert device_memory() == {}


@pytest.mark.skipif(not Path("/dev/nvidia0").exists(), reason="needs an NVIDIA GPU")
def test_the_memory_of_a_gpu() -> None:
    import torch

    held = torch.zeros(2**22, device="cuda")
    told = device_memory()
    assert held.nbytes <= told["allocated"] <= told["reserved"] <= told["total"]
