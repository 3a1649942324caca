"""Families' weights within a budget: pieces travel with their block, side networks block by block."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.tight import tightest
from tests.engine.tiny import Made


@pytest.mark.parametrize("names", [("vace", "audio"), ("references", "audio", "wave")])
def test_attached_families_under_one_that_brings_a_segment(names, stage):
    request = stage.recammaster(*names, steps=2)
    tight = tightest(request, stage.engine.plugins)
    assert np.array_equal(Made.of(tight.generate(request)).frames, stage.frames(request))
    (house,) = tight.kept.houses.values()
    swapped = {unit.name: unit for unit in house.swap.swapped}
    assert swapped["vace_blocks.0"].nbytes, "a side network has units of its own"
    assert all(
        unit.nbytes and unit.in_master() is False for unit in swapped.values() if unit.slot is not None
    )
    assert len(swapped["blocks.0"].modules) > 2, "a block has its pieces with it"
    other = stage.request("audio")
    assert np.array_equal(Made.of(tight.generate(other)).frames, stage.frames(other))
