"""Predictions packed into one run are the predictions made one at a time."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transformer.adapters.single import Single
from tests.transformer.models import relative, tiny
from tests.transformer.points import segment
from tests.transformer.scene import Scene
from wancore.transformer.attached import Attached
from wancore.transformer.batch import packable, predict_batch
from wancore.transformer.canvas import Canvas, Clock
from wancore.transformer.plan import Plan
from wancore.transformer.predict import NO_TEXT, Inputs, predict
from wancore.transformer.rows import Rows

MODEL = tiny(image_dim=10)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    canvas = Canvas(
        draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 1)),
        draw(st.integers(0, 1)), draw(st.integers(0, 2)),
    )  # fmt: skip
    times = st.floats(0, 1000, width=32)
    rows = draw(st.sampled_from([None, canvas.total, canvas.rows]))
    clock, t = Clock(), (draw(times),)
    if rows is not None:
        index = draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows))
        clock = Clock(torch.tensor(index))
        t = tuple(draw(times) for _ in range(clock.count))
    sizes = draw(st.lists(st.integers(1, 4), max_size=2))
    segments = tuple(segment(f"s{i}", n, 40 + i, draw(st.none() | times)) for i, n in enumerate(sizes))
    length = canvas.rows + sum(len(s.tokens) for s in segments)
    plan = draw(st.sampled_from([None, Plan.causal([1, length - 1]) if length > 1 else None]))
    return Scene(
        MODEL, canvas, t, clock, segments, plan,
        text_rows=draw(st.integers(1, 6)), image_rows=draw(st.integers(0, 3)),
    )  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(batch=st.lists(scenes(), min_size=2, max_size=3))
@torch.no_grad()
def test_a_batch_equals_its_members(batch: list[Scene]) -> None:
    inputs = [scene.inputs() for scene in batch]
    assert all(packable(i) for i in inputs)
    for got, single in zip(predict_batch(MODEL, inputs), inputs, strict=True):
        wanted = predict(MODEL, single)
        assert got.shape == wanted.shape and relative(got, wanted) < 5e-6


def unpackable() -> list[Inputs]:
    """Predictions of several kinds that run alone."""
    plain = Scene(MODEL)
    skipping, silent = replace(plain, skip=(1,)), replace(plain, segments=(segment("s", 2, 1, text=False),))
    doubled = replace(plain.inputs(), run=lambda blocks, x, e, e0: blocks(x) - x)
    return [plain.inputs({"own": None}), skipping.inputs(), silent.inputs(), doubled]


@torch.no_grad()
def test_what_cannot_be_packed_runs_one_by_one() -> None:
    attached = Attached({"own": Single(lambda i: {"after_block": lambda x, data: Rows(x)})}, 2)
    plain = Scene(MODEL).inputs()
    for inputs in unpackable():
        assert not packable(inputs)
        got, other = predict_batch(MODEL, [inputs, plain], attached)
        assert torch.equal(got, predict(MODEL, inputs, attached))
        assert torch.equal(other, predict(MODEL, plain))
        assert relative(got, other) > 1e-2


@torch.no_grad()
def test_with_text_and_without_it() -> None:
    reading = Scene(MODEL).inputs()
    batch = [reading, replace(reading, text=NO_TEXT)]
    for got, single in zip(predict_batch(MODEL, batch), batch, strict=True):
        assert torch.equal(got, predict(MODEL, single))
    silent = tiny(text_dim=0)
    batch = [replace(reading, text=NO_TEXT), replace(reading, text=NO_TEXT, t=reading.t / 2)]
    for got, single in zip(predict_batch(silent, batch), batch, strict=True):
        assert relative(got, predict(silent, single)) < 5e-6
