"""The canvas as a sequence of its own: what a hint chain runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from tests.transformer.adapters.vace import Vace
from tests.transformer.models import noise, relative, seeded_weights, tiny
from tests.transformer.points import segment
from tests.transformer.scene import Scene
from wancore.transformer.adapter import Chain, Values
from wancore.transformer.canvas import Canvas, Clock, Segment
from wancore.transformer.context import Context
from wancore.transformer.plan import Plan
from wancore.transformer.rows import Rows

MODEL = tiny(num_layers=3)
SEGMENTS = (segment("silent", 3, 5, 0.0, False), segment("reading", 4, 6))
CLOCKS = {"one timestep": (Clock(), (700.0,)), "per frame": (Clock(torch.tensor([0, 1])), (700.0, 20.0))}


def alone(scene: Scene, segments: tuple[Segment, ...], plan: Plan | None) -> Scene:
    return Scene(scene.model, scene.canvas, scene.t, scene.clock, segments, plan)


@torch.no_grad()
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("plan", [None, Plan.causal([6, 6, 7])], ids=str)
def test_blocks_see_the_canvas_as_if_there_were_no_segments(clock: str, plan: Plan | None) -> None:
    scene = Scene(MODEL, Canvas(2, 2, 3), CLOCKS[clock][1], CLOCKS[clock][0], SEGMENTS, plan)
    without = alone(scene, (), Plan.causal([6, 6]) if plan else None)
    cut, plain = scene.inputs(), without.inputs()
    e0 = MODEL.embed_time(cut.layout.times(cut.t))[1]
    plain_e0 = MODEL.embed_time(plain.layout.times(plain.t))[1]
    stream = cut.layout.stream(MODEL.attend).canvas_only()
    x = noise(12, 48)
    got = MODEL(x, e0, stream, cut.text.keys)
    assert relative(got, MODEL(x, plain_e0, plain.layout.stream(MODEL.attend), plain.text.keys)) < 2e-6
    if stream.plan is not None:
        assert stream.plan.spans == Plan.causal([6, 6]).spans


class Listening(Vace):
    """Keeps the hints it gives, by block."""

    def chain(self, context: Context, values: Sequence[Values] | None) -> Chain:
        self.given: dict[int, Tensor] = {}
        return Ear(super().chain(context, values), self.given)


@dataclass
class Ear:
    chain: Chain
    given: dict[int, Tensor]

    def hint(self, i: int, x: Tensor) -> Rows | None:
        hint = self.chain.hint(i, x)
        if hint is not None:
            self.given[i] = hint.tensor
        return hint


def hints(scene: Scene, layers: tuple[int, ...]) -> dict[int, Tensor]:
    adapter = seeded_weights(Listening(MODEL.config, 6, layers))
    scene.predict({"vace": adapter}, vace=[(noise(6, 2, 4, 6), 0.8)])
    return adapter.given


@torch.no_grad()
def test_hints_are_the_same_with_a_segment_or_without() -> None:
    """VACE beside a family with references: its chain does not know of them."""
    without, beside = hints(Scene(MODEL), (0, 2)), hints(Scene(MODEL, segments=SEGMENTS), (0, 2))
    assert set(without) == set(beside) == {0, 2}
    assert all(relative(beside[i], without[i]) < 2e-6 and len(without[i]) == 12 for i in without)


@torch.no_grad()
def test_a_skipped_block_leaves_out_its_own_hint_only() -> None:
    every, two = hints(Scene(MODEL), (0, 1, 2)), hints(Scene(MODEL, skip=(1,)), (0, 1, 2))
    assert set(two) == {0, 2} and torch.equal(every[2], two[2])
