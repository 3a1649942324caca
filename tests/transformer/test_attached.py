"""Adapters together: order of attachment, owners, and how long values are kept."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.transformer.adapters.single import Single
from tests.transformer.models import noise, relative
from tests.transformer.points import CANVAS, MATRIX, SCENE, remembering
from tests.transformer.scene import Scene
from tests.transformer.textbook import attention
from wancore.errors import Conflict
from wancore.transformer.adapter import Lifetime, Values
from wancore.transformer.attached import Attached, Scope
from wancore.transformer.canvas import Canvas
from wancore.transformer.context import Context
from wancore.transformer.keys import KeySet
from wancore.transformer.plan import Plan
from wancore.transformer.predict import predict
from wancore.transformer.rows import Rows


def crowd() -> dict[str, Single]:
    """Adapters at every point that several may share."""
    keys = [noise(5, 2, 24, seed=i) for i in range(6)]
    kv = [KeySet(keys[i], keys[i + 1], scale=0.5) for i in range(4)]

    def after(i: int) -> dict[str, Any]:
        return {
            "after_block": lambda x, data: Rows(x @ MATRIX[i], 0, 0.3),
            "after_cross": lambda x, data, seen: Rows(torch.tanh(x[3:]) @ MATRIX[1 - i], 3),
        }

    def looking(i: int) -> dict[str, Any]:
        return {
            "observe": lambda q, k, v, data: (q * k * v).mean(0).flatten(),
            "attn_out": lambda a, data, seen: a @ MATRIX[i] + seen,
            "after_cross": lambda x, data, seen: Rows(seen * x),
            "branch": lambda q, data: Rows(attention(q, keys[i], keys[2 + i])),
        }

    def hint(scale: float) -> Any:
        return lambda i, x: Rows(torch.sin(scale * x[:CANVAS]))

    return {
        "audio": Single(after, lambda c: [Values(shift=noise(2, 48, seed=i), kv=(kv[i],)) for i in range(2)]),
        "camera": Single(looking, lambda c: [Values(shift=noise(1, 48, seed=7))] * 2, hint(2.0)),
        "control": Single(
            after, hint=hint(3.0), tokens=Rows(noise(4, 48, seed=8), 3), time=noise(6, 48, seed=9)
        ),
        "face": remembering(40, 3)[0],
        "name": Single(
            lambda i: {"branch": lambda q, data: Rows(attention(q[:9], keys[4], keys[5]), 0, 0.7)},
            lambda c: [Values(kv=(kv[2], kv[3]))] * 2,
            tokens=Rows(noise(CANVAS, 48, seed=10)),
            time=noise(6, 48, seed=11),
        ),
    }


@torch.no_grad()
def test_the_order_of_attachment_changes_no_bit() -> None:
    adapters = crowd()
    outputs = {
        order: SCENE.predict({name: adapters[name] for name in order})
        for order in itertools.permutations(adapters)
    }
    first, *others = outputs.values()
    assert len(others) == 119 and all(torch.equal(first, other) for other in others)


@torch.no_grad()
def test_every_one_of_them_matters() -> None:
    adapters = crowd()
    together = SCENE.predict(adapters)
    for name in adapters:
        others = {other: adapter for other, adapter in adapters.items() if other != name}
        assert relative(SCENE.predict(others), together) > 1e-3, name


@torch.no_grad()
def test_an_adapter_without_data_does_nothing() -> None:
    attached = Attached(crowd(), 2)
    absent = predict(SCENE.model, SCENE.inputs({"face": None}), attached)
    assert torch.equal(absent, SCENE.predict({"face": crowd()["face"]}))
    assert torch.equal(predict(SCENE.model, SCENE.inputs(), attached), SCENE.predict())


@pytest.mark.parametrize("point", ["attn_out", "text_set"])
def test_two_replacements_of_one_result_are_refused(point: str) -> None:
    def owner(block: int) -> Single:
        return Single(lambda i: {point: lambda *args: args[0]} if i == block else {})

    with pytest.raises(Conflict, match=f"first and second cannot be combined: both need the point {point}"):
        Attached({"second": owner(1), "other": Single(), "first": owner(0)}, 2)


def test_two_patch_embeddings_are_refused() -> None:
    tokens = torch.ones(CANVAS, 48)
    adapters = {name: Single(embed=lambda latents, data: tokens) for name in ("a", "b")}
    with pytest.raises(Conflict, match="a and b cannot be combined: both need the patch embedding"):
        SCENE.predict(adapters)


class Counting(Single):
    """Counts how often its values are asked for, and answers with that number as a shift."""

    def __init__(self, lifetime: Lifetime, depends: frozenset[str] = frozenset()) -> None:
        super().__init__(values=self.count)
        self.lifetime, self.depends, self.asked = lifetime, depends, 0

    def count(self, context: Context) -> Sequence[Values]:
        self.asked += 1
        return [Values(shift=torch.full((1, 48), float(self.asked)))] * 2


def asked(adapter: Counting, scopes: Sequence[Scope], scene: Scene = SCENE) -> int:
    attached = Attached({"own": adapter}, 2)
    for scope in scopes:
        predict(scene.model, scene.inputs({"own": None}, scope), attached)
    return adapter.asked


def run(windows: int, steps: int, passes: Sequence[tuple[str, dict[str, str]]]) -> list[Scope]:
    return [
        Scope(window, step, name, variants)
        for window in range(windows)
        for step in range(steps)
        for name, variants in passes
    ]


THREE_PASSES = (
    ("cond", {"text": "positive", "own": "on"}),
    ("drop_text", {"text": "negative", "own": "on"}),
    ("uncond", {"text": "negative", "own": "off"}),
)


@torch.no_grad()
@pytest.mark.parametrize(
    ("lifetime", "depends", "times"),
    [
        ("request", (), 2),  # its own slot has two variants
        ("expert", (), 2),
        ("expert", ("text",), 3),
        ("window", (), 2 * 2),
        ("window", ("text",), 2 * 3),
        ("step", (), 2 * 4 * 2),
        ("step", ("text",), 2 * 4 * 3),
        ("step", ("reference",), 2 * 4 * 2),  # a slot that no pass names has one variant
        ("pass", (), 2 * 4 * 3),
    ],
)
def test_values_are_worked_out_once_for_as_long_as_they_hold(
    lifetime: Lifetime, depends: tuple[str, ...], times: int
) -> None:
    assert asked(Counting(lifetime, frozenset(depends)), run(2, 4, THREE_PASSES)) == times


@torch.no_grad()
def test_kept_values_are_the_right_ones() -> None:
    """Each variant goes on with its own values, in whatever order the passes come."""
    attached = Attached({"own": Counting("window")}, 2)
    on, off = Scope(variants={"own": "on"}), Scope(variants={"own": "off"})
    first, second, again, other = (
        predict(SCENE.model, SCENE.inputs({"own": None}, scope), attached) for scope in (on, off, on, off)
    )
    assert torch.equal(first, again) and torch.equal(second, other) and not torch.equal(first, second)


@torch.no_grad()
def test_other_conditioning_or_another_grid_needs_new_values() -> None:
    adapter = Counting("expert")
    attached = Attached({"own": adapter}, 2)
    wide = replace(SCENE, canvas=Canvas(2, 2, 4))
    silent = replace(SCENE, segments=())
    one, two = object(), object()
    for scene, data, times in [
        (SCENE, one, 1), (SCENE, one, 1), (SCENE, two, 2), (wide, two, 3), (silent, two, 4), (SCENE, two, 4),
    ]:  # fmt: skip
        predict(scene.model, scene.inputs({"own": data}), attached)
        assert adapter.asked == times
    attached.forget()
    predict(SCENE.model, SCENE.inputs({"own": two}), attached)
    assert adapter.asked == 5


@torch.no_grad()
def test_values_that_follow_the_levels_need_the_same_levels() -> None:
    adapter = Counting("expert")
    adapter.frame_levels = True
    attached = Attached({"own": adapter}, 2)
    inputs = SCENE.inputs({"own": None})
    predict(SCENE.model, inputs, attached)
    predict(SCENE.model, replace(inputs, t=inputs.t / 2), attached)
    predict(SCENE.model, replace(inputs, layout=replace(inputs.layout, plan=Plan.causal([6, 13]))), attached)
    assert adapter.asked == 1
    predict(SCENE.model, replace(inputs, layout=SCENE.layout), attached)
    assert adapter.asked == 2


@torch.no_grad()
def test_the_order_of_names_is_rounding_at_most() -> None:
    adapters = [a for name, a in crowd().items() if name != "camera"]
    outputs = [SCENE.predict(dict(zip(names, adapters, strict=True))) for names in ("abcd", "dcba", "bdac")]
    assert all(relative(output, outputs[0]) < 5e-6 for output in outputs)
