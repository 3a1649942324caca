from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wancore.errors import InvalidInput
from wancore.vae.tiling import Blend, Span, Tiling, ramp, spans

SIDE = st.tuples(st.integers(2, 8), st.integers(1, 7)).filter(lambda side: side[1] < side[0])


@settings(deadline=None, max_examples=60)
@given(length=st.integers(1, 40), side=SIDE)
def test_spans_cover_the_side_with_overlap(length: int, side: tuple[int, int]) -> None:
    size, stride = side
    found = spans(length, size, stride)
    assert found[0].start == 0 and found[0].first
    assert found[-1].end == length and found[-1].last
    assert not any(span.last for span in found[:-1])
    for before, after in pairwise(found):
        assert after.start - before.start == stride
        assert before.end - after.start == size - stride
        assert not after.first


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 20), width=st.integers(1, 20), rows=SIDE, columns=SIDE, scale=st.integers(1, 3))
def test_tiles_of_one_picture_blend_to_it(
    height: int, width: int, rows: tuple[int, int], columns: tuple[int, int], scale: int
) -> None:
    tiling = Tiling((rows[0], columns[0]), (rows[1], columns[1]))
    picture = torch.rand(2, 3, height * scale, width * scale)
    overlap = ((rows[0] - rows[1]) * scale, (columns[0] - columns[1]) * scale)
    blend = Blend(tuple(picture.shape), overlap, picture.device)
    for small, tile in zip(
        tiling.tiles(height, width), tiling.scaled(scale).tiles(height * scale, width * scale), strict=True
    ):
        blend.add(tile.crop(picture), tile, (small.row.start * scale, small.column.start * scale))
    torch.testing.assert_close(blend.result(), picture)


def test_ramps() -> None:
    cpu = torch.device("cpu")
    inner = Span(4, 12, first=False, last=False)
    assert ramp(8, 2, inner, cpu).tolist() == [0.5, 1, 1, 1, 1, 1, 1, 0.5]
    assert ramp(8, 2, Span(0, 8, first=True, last=False), cpu).tolist() == [1, 1, 1, 1, 1, 1, 1, 0.5]
    assert ramp(8, 2, Span(4, 12, first=False, last=True), cpu).tolist() == [0.5, 1, 1, 1, 1, 1, 1, 1]
    # Where the ramps meet, the falling one stands.
    assert ramp(4, 3, inner, cpu).tolist() == pytest.approx([1 / 3, 1, 2 / 3, 1 / 3])
    assert ramp(3, 0, inner, cpu).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("size", "stride"), [((4, 4), (4, 2)), ((4, 4), (2, 5)), ((4, 4), (0, 2)), ((4, 1), (2, 1))]
)
def test_tiles_must_overlap(size: tuple[int, int], stride: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match=r"tiling.*smaller than the tile"):
        Tiling(size, stride)
