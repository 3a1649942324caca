"""Sizes that follow an image."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from wancore_wan.sizes import area_size, covered_size

sides = st.integers(16, 4096)
areas = st.integers(64 * 64, 1280 * 720)


@given(height=sides, width=sides, area=areas)
@settings(deadline=None, max_examples=200)
def test_area_size(height, width, area):
    rows, columns = area_size(height, width, area, stride=8, patch=2)
    assert rows % 16 == 0 and columns % 16 == 0
    assert rows * columns <= area


@given(height=sides, width=sides, area=areas)
@settings(deadline=None, max_examples=200)
def test_covered_size(height, width, area):
    rows, columns = covered_size(height, width, area, multiple=32)
    assert rows % 32 == 0 and columns % 32 == 0
    assert rows * columns <= area
    if rows and columns and 1 / 4 < width / height < 4 and area > 400_000:
        assert 0.8 < (columns / rows) / (width / height) < 1.25


def test_released_sizes():
    assert area_size(720, 1280, 720 * 1280, 8, 2) == (720, 1280)
    assert area_size(480, 832, 480 * 832, 8, 2) == (464, 832), "as upstream, whose float area falls short"
    assert covered_size(704, 1280, 704 * 1280, 32) == (704, 1280)
