"""Modulation by table and index."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.transformer.models import noise, relative, tiny
from tests.transformer.scene import Scene
from wancore.transformer.canvas import Canvas, Clock
from wancore.transformer.levels import CHUNK, Levels


def mix(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return x * a + y * b


def row_by_row(levels: Levels, x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    index = levels.rows(len(x)).tolist()
    return torch.stack([mix(x[i], y[i], a[level], b[level]) for i, level in enumerate(index)])


@settings(deadline=None, max_examples=50)
@given(index=st.lists(st.integers(0, 4), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_runs_chunks_and_rows_agree(index: list[int], seed: int) -> None:
    levels = Levels.of(torch.tensor(index))
    x, y = noise(len(index), 3, seed=seed), noise(len(index), 3, seed=seed + 1)
    a, b = noise(levels.count, 3, seed=seed + 2), noise(levels.count, 3, seed=seed + 3)
    wanted = row_by_row(levels, x, y, a, b)
    assert torch.equal(levels.apply(mix, x, (a, b), y), wanted)
    assert torch.equal(Levels(levels.count, levels.index).apply(mix, x, (a, b), y), wanted)


def test_chunks_meet_without_a_seam() -> None:
    rows = 2 * CHUNK + 5
    levels = Levels.of(torch.arange(rows) % 3)
    assert levels.runs == ()
    x, y, a, b = noise(rows, 2), noise(rows, 2, seed=1), noise(3, 2, seed=2), noise(3, 2, seed=3)
    index = torch.arange(rows) % 3
    assert torch.equal(levels.apply(mix, x, (a, b), y), mix(x, y, a[index], b[index]))


@settings(deadline=None, max_examples=50)
@given(index=st.lists(st.integers(0, 3), min_size=1, max_size=20), rows=st.integers(1, 20))
def test_the_first_rows_keep_their_levels(index: list[int], rows: int) -> None:
    rows = min(rows, len(index))
    levels = Levels.of(torch.tensor(index))
    first = levels.first(rows)
    assert first.rows(rows).tolist() == index[:rows] and first.count == levels.count
    assert [r for a, b, level in first.runs for r in [level] * (b - a)] == (
        index[:rows] if first.runs else []
    )


@settings(deadline=None, max_examples=50)
@given(parts=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=3))
def test_joined_sequences_keep_their_levels_apart(parts: list[list[int]]) -> None:
    levels = [Levels.of(torch.tensor(part)) for part in parts]
    joined = Levels.joined(levels, [len(part) for part in parts], "cpu")
    before = [sum(own.count for own in levels[:i]) for i in range(len(parts))]
    wanted = [before[i] + level for i, part in enumerate(parts) for level in part]
    assert joined.rows(len(wanted)).tolist() == wanted and joined.count == sum(own.count for own in levels)
    assert [level for a, b, level in joined.runs for _ in range(a, b)] == wanted
    unruly = Levels(levels[0].count, levels[0].rows(len(parts[0])))
    assert Levels.joined([unruly, *levels[1:]], [len(part) for part in parts], "cpu").runs == ()


@settings(deadline=None, max_examples=15)
@given(
    frames=st.integers(2, 4), height=st.integers(1, 3), t=st.floats(0, 1000, width=32),
    per_token=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
@torch.no_grad()
def test_equal_timesteps_per_frame_or_token_are_one_timestep(
    frames: int, height: int, t: float, per_token: bool, seed: int
) -> None:
    canvas = Canvas(frames, height, 2)
    index = torch.randperm(canvas.rows, generator=torch.Generator().manual_seed(seed)) % frames
    clock = Clock(index if per_token else torch.arange(frames))
    model = tiny()
    assert (
        relative(Scene(model, canvas, (t,) * frames, clock).predict(), Scene(model, canvas, (t,)).predict())
        < 2e-6
    )


@pytest.mark.parametrize("per_token", [True, False])
@torch.no_grad()
def test_tokens_of_whole_frames_are_frames(per_token: bool) -> None:
    model, t = tiny(), (900.0, 100.0, 400.0)
    index = torch.tensor([1, 0, 2])
    frames = Scene(model, Canvas(3, 2, 2), t, Clock(index)).predict()
    tokens = Scene(model, Canvas(3, 2, 2), t, Clock(index.repeat_interleave(4))).predict()
    assert torch.equal(frames, tokens)
