"""shift, tap, observe, memory, branch, attn_out: each acts where the textbook is edited."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.transformer.adapters.single import Single
from tests.transformer.models import noise, relative
from tests.transformer.points import CANVAS, MATRIX, ROWS, SCENE, TIGHT, Kept, agree, remembering
from tests.transformer.scene import Scene
from tests.transformer.textbook import attention
from wancore.transformer.adapter import Values
from wancore.transformer.context import Context
from wancore.transformer.plan import Plan
from wancore.transformer.rows import Rows


def test_shift() -> None:
    tables = [noise(2, 48, seed=i) for i in range(2)]  # one row per level: running timestep, 0
    level = torch.tensor([0] * CANVAS + [0] * 4 + [1] * 3)
    adapter = Single(values=lambda context: [Values(shift=table) for table in tables])
    agree({"a": adapter}, {"shift": lambda i, shift: shift + tables[i][level]})


def test_shift_differs_from_frame_to_frame() -> None:
    camera = noise(2, 48, seed=3)

    def values(context: Context) -> list[Values]:
        frame = context.layout.level_frame
        shift = torch.where(frame[:, None] >= 0, camera[frame.clamp(min=0)], 0)
        return [Values(shift=shift)] * 2

    rows = torch.cat((camera.repeat_interleave(6, 0), torch.zeros(ROWS - CANVAS, 48)))
    scene = Scene(SCENE.model, segments=SCENE.segments, frame_levels=True)
    agree({"a": Single(values=values, frame_levels=True)}, {"shift": lambda i, s: s + rows}, scene)


def test_two_shifts_add_up() -> None:
    adapters = {n: Single(values=lambda c: [Values(shift=torch.full((1, 48), 0.3))] * 2) for n in "ab"}
    agree(adapters, {"shift": lambda i, shift: shift + 0.6})


def test_tap_reads_the_modulated_input() -> None:
    seen: dict[int, Tensor] = {}
    kept = Kept()
    adapter = Single(lambda i: {"tap": lambda n, data: seen.update({i: n})})
    plain, tapped = SCENE.predict(), SCENE.predict({"a": adapter})
    SCENE.textbook(kept.keeping("input"))
    assert torch.equal(plain, tapped)
    assert all(relative(seen[i], kept["input", i]) < TIGHT for i in range(2))


def test_observe_reads_rotated_queries_and_keys_and_hands_on_what_it_saw() -> None:
    def observed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (2 * q + 3 * k + 4 * v).mean(0).flatten()

    kept = Kept()
    adapter = Single(
        lambda i: {
            "observe": lambda q, k, v, data: observed(q, k, v),
            "attn_out": lambda a, data, seen: a + seen,
            "after_cross": lambda x, data, seen: Rows(seen.expand(CANVAS, -1)),
        }
    )

    def see(i: int) -> Tensor:
        return observed(*(kept[place, i] for place in "qkv"))

    canvas = (torch.arange(ROWS) < CANVAS)[:, None]
    edits = {
        **kept.keeping("q", "k", "v"),
        "projected": lambda i, a: a + see(i),
        "x_text": lambda i, x: x + canvas * see(i),
    }
    agree({"a": adapter}, edits)


@pytest.mark.parametrize("plan", [None, Plan.blocks([6, 13]), Plan.causal([6, 6, 7])], ids=str)
def test_memory_joins_the_keys_of_canvas_rows(plan: Plan | None) -> None:
    (one, first), (two, second) = remembering(30, 5), remembering(60, 2)
    mask, kept = dense(plan), Kept()

    def remember(i: int, heads: Tensor) -> Tensor:
        memories = (first[i], second[i])
        k = torch.cat([kept["k", i], *(m.k.double() for m in memories)])
        v = torch.cat([kept["v", i], *(m.v.double() for m in memories)])
        wide = torch.cat((mask, (torch.arange(ROWS) < CANVAS)[:, None].expand(-1, 7)), dim=1)
        return attention(kept["q", i], k, v, wide)

    scene = Scene(SCENE.model, segments=SCENE.segments, plan=plan)
    edits = {**kept.keeping("q", "k", "v"), "heads": remember}
    agree({"a": one, "b": two}, edits, scene, mask=mask)


def dense(plan: Plan | None) -> Tensor:
    """The plan as the mask it stands for."""
    mask = torch.zeros(ROWS, ROWS, dtype=torch.bool)
    for (a, b), keys in plan.spans if plan else [((0, ROWS), ((0, ROWS),))]:
        for c, d in keys:
            mask[a:b, c:d] = True
    return mask


def test_branch_asks_with_unrotated_queries() -> None:
    keys = [(2 * noise(5, 2, 24, seed=i), noise(5, 2, 24, seed=9 + i)) for i in range(2)]
    kept = Kept()
    adapter = Single(
        lambda i: {"branch": lambda q, data: Rows(attention(q, *keys[i])[4:], 4, torch.tensor(0.7))},
    )

    def add(i: int, heads: Tensor) -> Tensor:
        k, v = (t.double() for t in keys[i])
        own = attention(kept["plain_q", i], k, v)
        return heads + 0.7 * own * (torch.arange(ROWS) >= 4)[:, None, None]

    agree({"a": adapter}, {**kept.keeping("plain_q"), "heads": add})


def test_attn_out_acts_after_the_projection_and_before_the_gate() -> None:
    adapter = Single(lambda i: {"attn_out": lambda a, data, seen: a @ MATRIX[i] + 0.2})
    agree({"a": adapter}, {"projected": lambda i, a: a @ MATRIX[i].double() + 0.2})
