"""Where rows lie, which timestep each has, and that the order of segments means nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transformer.models import noise, relative, tiny
from tests.transformer.points import TIGHT, remembering, segment
from tests.transformer.scene import Scene
from tests.transformer.textbook import grid
from wancore.transformer.canvas import Along, Canvas, Clock, Segment
from wancore.transformer.layout import Layout, build_layout
from wancore.transformer.predict import predict
from wancore.transformer.rope import Frequencies

FREQUENCIES = Frequencies(24)


def row_times(layout: Layout, t: Sequence[float], rows: int) -> list[float]:
    return layout.times(torch.tensor(t))[layout.levels.rows(rows).long()].tolist()


def test_segments_with_text_come_first_and_rows_are_found_by_name() -> None:
    segments = [segment("a", 2, 0, text=False), segment("b", 3, 1), segment("c", 1, 2, text=False)]
    layout = build_layout(Canvas(1, 2, 2), FREQUENCIES, None, segments)
    assert layout.order == (1, 0, 2)
    assert layout.spans == {"b": (4, 7), "a": (7, 9), "c": (9, 10)}
    assert layout.text_rows == 7
    assert layout.canvas_levels == layout.levels and layout.levels.index is None


def test_every_row_has_its_timestep() -> None:
    """Service frames and known frames by the clock; segments by their own, or the canvas' last token's."""
    canvas = Canvas(2, 1, 2, head=1, tail=1)
    segments = [segment("own", 1, 0, 0.0), segment("running", 2, 1), segment("same", 1, 2, 0.0, False)]
    layout = build_layout(canvas, FREQUENCIES, Clock(torch.tensor([2, 0, 2, 1])), segments)
    assert row_times(layout, (5.0, 6.0, 7.0), 12) == [7, 7, 5, 5, 7, 7, 6, 6, 0, 6, 6, 0]
    known = Clock(torch.tensor([0, 0, 1, 1]), torch.tensor([0.0, 1.0]))
    layout = build_layout(canvas, FREQUENCIES, known, segments)
    assert row_times(layout, (500.0,), 12) == [0] * 4 + [500] * 4 + [0, 500, 500, 0]


def test_levels_are_fixed_for_the_request() -> None:
    """Frames whose timesteps happen to meet stay apart: their number may not change from step to step."""
    layout = build_layout(Canvas(3, 1, 2), FREQUENCIES, Clock(torch.tensor([0, 1, 2])))
    assert layout.levels.count == 3
    assert row_times(layout, (5.0, 5.0, 1.0), 6) == [5, 5, 5, 5, 1, 1]


def test_unused_levels_of_the_clock_are_left_out() -> None:
    layout = build_layout(Canvas(2, 1, 1), FREQUENCIES, Clock(torch.tensor([3, 1])))
    assert layout.levels.count == 2 and row_times(layout, (1.0, 2.0, 3.0, 4.0), 2) == [4, 2]


def test_frame_levels_count_clip_frames() -> None:
    canvas = Canvas(2, 1, 2, head=1, tail=1)
    source = segment("source", 4, 0)
    segments = [segment("reference", 1, 1), Segment("source", source.tokens, source.rope, along=Along.CLIP)]
    layout = build_layout(canvas, FREQUENCIES, None, segments, frame_levels=True)
    frames = layout.level_frame[layout.levels.rows(13).long()].tolist()
    assert frames == [-1, -1, 0, 0, 1, 1, -1, -1, -1, 0, 0, 1, 1]
    assert row_times(layout, (5.0,), 13) == [5] * 13


def test_positions_of_the_canvas() -> None:
    plain = Canvas(2, 2, 3, head=1, origin=4)
    assert torch.equal(plain.positions(), grid(3, 2, 3, (4, 0, 0)))
    jumps = Canvas(3, 1, 2, times=(0.0, 1.0, 6.0))  # a second shot starts four frames later
    assert jumps.positions()[:, 0].tolist() == [0, 0, 1, 1, 6, 6]
    assert Canvas(3, 2, 2, head=1, tail=2).clip == (4, 16)


@settings(deadline=None, max_examples=20)
@given(data=st.data(), memory=st.booleans())
@torch.no_grad()
def test_the_order_of_segments_means_nothing(data: st.DataObject, memory: bool) -> None:
    parts = [
        segment("first", 3, 1), segment("silent", 2, 2, 0.0, False), segment("second", 1, 3, 250.0),
        segment("quiet", 4, 4, text=False),
    ]  # fmt: skip
    shuffled = data.draw(st.permutations(parts))
    adapters = {"a": remembering(30, 2)[0]} if memory else {}
    one, other = (Scene(tiny(), segments=tuple(s)).predict(adapters) for s in (parts, shuffled))
    assert relative(one, other) < 5e-6


@torch.no_grad()
def test_a_segment_is_a_canvas_frame_elsewhere() -> None:
    """Two frames of canvas, or one of canvas and one as a segment: the first frame is the same."""
    model = tiny()
    whole = Scene(model, Canvas(2, 2, 3))

    def rope(canvas: Canvas, frequencies: Frequencies) -> torch.Tensor:
        return frequencies.factors(grid(1, canvas.height, canvas.width, (canvas.total, 0, 0)))

    second = Segment("second", model.embed(whole.latents[:, 1:]), rope)
    inputs = Scene(model, Canvas(1, 2, 3), segments=(second,)).inputs()
    first = predict(model, replace(inputs, latents=whole.latents[:, :1]))
    assert relative(first, whole.predict()[:, :1]) < TIGHT


def test_parts_that_do_not_fit_are_refused() -> None:
    canvas, source = Canvas(2, 1, 2), segment("s", 5, 0)
    for segments, problem in [
        (
            [Segment("source", source.tokens, source.rope, along=Along.CLIP)],
            "5 tokens do not divide into 2 frames",
        ),
        ([replace(source, tokens=noise(4, 48))], "s: 4 tokens have 5 positions"),
        ([source, source], "two segments are named s"),
    ]:
        with pytest.raises(ValueError, match=problem):
            build_layout(canvas, FREQUENCIES, None, segments)
    with pytest.raises(ValueError, match="3 levels for 2 frames of 2 rows"):
        build_layout(canvas, FREQUENCIES, Clock(torch.tensor([0, 1, 1])))
    with pytest.raises(ValueError, match="3 times for 2 frames"):
        build_layout(Canvas(2, 1, 2, times=(0, 1, 2)), FREQUENCIES)
    scene = Scene(tiny())
    with pytest.raises(ValueError, match="6 tokens on a canvas of 12"):
        predict(scene.model, replace(scene.inputs(), latents=scene.latents[:, :1]))
