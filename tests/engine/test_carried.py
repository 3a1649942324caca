"""Frames that a window leaves for the next one."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from wancore.engine.carried import Carried


@given(st.lists(st.integers(1, 8), min_size=1, max_size=8), st.none() | st.integers(1, 30))
def test_the_last_frames_are_kept_and_no_part_more(sizes: list[int], wanted: int | None) -> None:
    frames, carried = torch.arange(sum(sizes)).float().expand(3, 2, 2, -1).movedim(3, 1), Carried(wanted)
    for part in frames.split(sizes, dim=1):
        carried.add(part)
    expected = frames if wanted is None else frames[:, -wanted:]
    assert torch.equal(carried.frames, expected)
    if wanted is not None:
        assert carried.count - carried.parts[0].shape[1] < wanted
