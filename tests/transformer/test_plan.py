"""Spans of rows against the dense mask they stand for."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.transformer.models import noise, relative
from tests.transformer.textbook import attention
from wancore.kernels.attention import grouped, sdpa
from wancore.transformer.plan import Memory, Plan, self_attention

lengths = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def mask_of(plan: Plan, rows: int) -> Tensor:
    mask = torch.zeros(rows, rows, dtype=torch.bool)
    for (a, b), keys in plan.spans:
        for c, d in keys:
            mask[a:b, c:d] = True
    return mask


def block_of(sizes: list[int]) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


def qkv(rows: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (noise(rows, 2, 4, seed=seed + i) for i in range(3))
    return q, k, v


@given(sizes=lengths)
@settings(deadline=None, max_examples=30)
def test_blocks_and_causal_stand_for_their_masks(sizes: list[int]) -> None:
    block = block_of(sizes)
    own, before = block[:, None] == block, block[:, None] >= block
    assert torch.equal(mask_of(Plan.blocks(sizes), sum(sizes)), own)
    assert torch.equal(mask_of(Plan.causal(sizes), sum(sizes)), before)


@given(
    sizes=lengths, causal=st.booleans(), memories=st.lists(st.integers(1, 3), max_size=2),
    canvas=st.integers(1, 16), seed=st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_spans_are_masked_attention(
    sizes: list[int], causal: bool, memories: list[int], canvas: int, seed: int
) -> None:
    rows = sum(sizes)
    canvas = min(canvas, rows)
    q, k, v = qkv(rows, seed)
    plan = Plan.causal(sizes) if causal else Plan.blocks(sizes)
    kept = [Memory(noise(n, 2, 4, seed=70 + n), noise(n, 2, 4, seed=80 + n)) for n in memories]
    mask = mask_of(plan, rows)
    remembers = (torch.arange(rows) < canvas)[:, None].expand(-1, sum(memories))
    all_k, all_v = torch.cat([k, *(m.k for m in kept)]), torch.cat([v, *(m.v for m in kept)])
    wanted = attention(q.double(), all_k.double(), all_v.double(), torch.cat((mask, remembers), 1))
    assert relative(self_attention(sdpa, q, k, v, plan, kept, canvas), wanted) < 2e-6


@given(sizes=lengths, causal=st.booleans(), rows=st.integers(1, 16))
@settings(deadline=None, max_examples=30)
def test_a_plan_cut_to_its_first_rows(sizes: list[int], causal: bool, rows: int) -> None:
    plan = Plan.causal(sizes) if causal else Plan.blocks(sizes)
    rows = min(rows, sum(sizes))
    first = plan.first(rows)
    assert torch.equal(mask_of(first, rows), mask_of(plan, sum(sizes))[:rows, :rows])
    assert all(stop <= rows for query, keys in first.spans for _, stop in (query, *keys))


def test_key_spans_in_pieces() -> None:
    """A query may see several stretches of keys, as two prompts that share a reference do."""
    q, k, v = qkv(9, 5)
    plan = Plan((((0, 3), ((0, 3), (6, 9))), ((3, 9), ((3, 9),))))
    got = self_attention(sdpa, q, k, v, plan)
    assert relative(got, attention(q.double(), k.double(), v.double(), mask_of(plan, 9))) < 2e-6


@given(
    groups=st.integers(1, 3), rows=st.integers(1, 3), keys=st.integers(1, 4), data=st.data(),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None, max_examples=30)
def test_groups_attend_to_their_own_keys(
    groups: int, rows: int, keys: int, data: st.DataObject, seed: int
) -> None:
    sizes = data.draw(st.none() | st.lists(st.integers(0, keys), min_size=groups, max_size=groups))
    q = noise(groups, rows, 2, 4, seed=seed)
    k, v = noise(groups, keys, 2, 4, seed=seed + 1), noise(groups, keys, 2, 4, seed=seed + 2)
    got = grouped(q, k, v, None if sizes is None else torch.tensor(sizes))
    for g in range(groups):
        n = keys if sizes is None else sizes[g]
        if n == 0:
            assert torch.equal(got[g], torch.zeros(rows, 2, 4))
        else:
            assert relative(got[g], attention(q[g].double(), k[g, :n].double(), v[g, :n].double())) < 2e-6
