"""Sets of keys for some of the rows, and results added to some of the rows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.transformer.models import noise, relative
from tests.transformer.textbook import attention
from wancore.kernels.attention import sdpa
from wancore.transformer.keys import KeySet, read_all
from wancore.transformer.rows import Rows, add_rows

spans = st.tuples(st.integers(0, 6), st.integers(1, 6)).map(lambda p: (p[0], min(p[0] + p[1], 7)))


@given(rows=st.lists(spans, min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_sets_add_up_on_the_rows_they_serve(rows: list[tuple[int, int]], seed: int) -> None:
    q = noise(7, 2, 4, seed=seed)
    sets = [
        KeySet(noise(3, 2, 4, seed=seed + i), noise(3, 2, 4, seed=seed + i + 50), span, 0.5 + i)
        for i, span in enumerate(rows)
    ]
    wanted = torch.zeros(7, 2, 4, dtype=torch.float64)
    for s, (a, b) in zip(sets, rows, strict=True):
        wanted[a:b] += float(s.scale or 1) * attention(q[a:b].double(), s.k.double(), s.v.double())
    assert relative(read_all(q, sets, sdpa), wanted) < 2e-6


def test_rows_that_no_set_serves_are_zero() -> None:
    q, k = noise(7, 2, 4), noise(3, 2, 4, seed=1)
    out = read_all(q, [KeySet(k, k, (2, 4))], sdpa)
    assert (out[:2] == 0).all() and (out[4:] == 0).all() and (out[2:4] != 0).any()
    assert torch.equal(read_all(q, [], sdpa), torch.zeros_like(q))


@given(
    updates=st.lists(st.tuples(spans, st.sampled_from([None, 0.5, 2.0])), max_size=4), seed=st.integers(0, 99)
)
@settings(deadline=None, max_examples=40)
def test_updates_add_up(updates: list[tuple[tuple[int, int], float | None]], seed: int) -> None:
    x = noise(7, 3, seed=seed)
    rows, wanted = [], x.clone()
    for i, ((a, b), strength) in enumerate(updates):
        update = noise(b - a, 3, seed=seed + i)
        rows.append(Rows(update, a, torch.tensor(strength) if strength == 2.0 else strength))
        wanted[a:b] += update * (1.0 if strength is None else strength)
    before = x.clone()
    assert torch.allclose(add_rows(x, rows), wanted, atol=1e-6)
    assert torch.equal(x, before)


def test_nothing_to_add_is_the_same_tensor() -> None:
    x: Tensor = noise(3, 2)
    assert add_rows(x, []) is x


def test_rows_beyond_the_sequence_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rows 2\.\.5 do not fit a sequence of 4"):
        add_rows(noise(4, 2), [Rows(noise(3, 2), 2)])
