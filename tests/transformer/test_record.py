"""A recording is what the textbook computes for the segment alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.transformer.models import noise, relative, tiny
from tests.transformer.points import SCENE, TIGHT, Kept, segment
from tests.transformer.textbook import Sequence, Textbook
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.predict import EmbeddedText
from wancore.transformer.record import LowRank, Recorded, record
from wancore.transformer.rope import Frequencies

MODEL = tiny()
CANVAS = Canvas(2, 3, 3)


def book_of(item: Segment, text: bool, book: Textbook | None = None) -> Kept:
    """Places of the textbook's blocks in a run over the segment alone."""
    kept, book = Kept(), book or Textbook.of(MODEL)
    book.edits = kept.keeping("k", "v", "input")
    n = len(item.tokens)
    run = Sequence(
        item.tokens.double(), torch.full((n,), item.t or 0.0), item.rope(CANVAS, MODEL.frequencies),
        torch.full((n,), text),
    )  # fmt: skip
    book.run(run, book.embed_text(SCENE.text, MODEL.config.text_len))
    return kept


def assert_recorded(recorded: list[Recorded], kept: Kept) -> None:
    for i, r in enumerate(recorded):
        if r.n is None:
            assert r.k is not None and r.v is not None
            assert relative(r.k, kept["k", i]) < TIGHT and relative(r.v, kept["v", i]) < TIGHT
        else:
            assert r.k is None and relative(r.n, kept["input", i]) < TIGHT


@torch.no_grad()
@pytest.mark.parametrize("want", ["kv", "input"])
@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("t", [None, 0.0, 300.0])
def test_both_wants_with_and_without_text(want: str, text: bool, t: float | None) -> None:
    item = segment("face", 5, 3, t, text)
    keys = EmbeddedText.of(MODEL, SCENE.text).keys
    recorded = record(MODEL, item, CANVAS, want, keys)  # type: ignore[arg-type]
    assert len(recorded) == 2
    assert_recorded(recorded, book_of(item, text))


@torch.no_grad()
def test_a_segment_reads_no_text_where_none_is_given() -> None:
    item = segment("face", 5, 3)
    assert_recorded(record(MODEL, item, CANVAS, "kv"), book_of(item, text=False))


@torch.no_grad()
def test_the_low_rank_set_is_active_in_the_recording_only() -> None:
    item = segment("face", 5, 3, text=False)
    sets = {
        f"blocks.{i}.{name}": LowRank(noise(3, 48, seed=i) / 7, noise(48, 3, seed=9 + i))
        for i in range(2)
        for name in ("self_attn.q", "self_attn.k", "self_attn.v")
    }
    before = SCENE.predict()
    recorded = record(SCENE.model, item, CANVAS, "kv", low_rank=sets)
    assert torch.equal(SCENE.predict(), before)
    book = Textbook.of(SCENE.model)
    merged = dict(book.weights)
    for name, pair in sets.items():
        merged[f"{name}.weight"] = merged[f"{name}.weight"] + pair.up.double() @ pair.down.double()
    assert_recorded(recorded, book_of(item, False, replace(book, weights=merged)))
    assert relative(recorded[0].k, record(SCENE.model, item, CANVAS, "kv")[0].k) > 1e-2  # type: ignore[arg-type]


@torch.no_grad()
def test_the_low_rank_set_goes_even_if_the_recording_fails() -> None:
    def broken(canvas: Canvas, frequencies: Frequencies) -> Tensor:
        return torch.ones(4, 12, dtype=torch.complex128)  # one row short

    sets = {"blocks.0.self_attn.q": LowRank(noise(3, 48), noise(48, 3))}
    before = SCENE.predict()
    with pytest.raises(RuntimeError):
        record(SCENE.model, Segment("face", noise(5, 48), broken), CANVAS, "kv", low_rank=sets)
    assert torch.equal(SCENE.predict(), before)


@torch.no_grad()
def test_positions_are_rotated_with_the_readers_frequencies() -> None:
    item, slow = segment("face", 5, 3), Frequencies(24, (500.0, 10000.0, 10000.0))
    plain, slowed = record(MODEL, item, CANVAS, "kv"), record(MODEL, item, CANVAS, "kv", frequencies=slow)
    assert relative(slowed[0].k, plain[0].k) > 1e-2  # type: ignore[arg-type]
    assert torch.equal(slowed[0].v, plain[0].v)  # type: ignore[arg-type]
