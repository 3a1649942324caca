"""A prediction takes place where the model is: on the meta device any stray CPU tensor would fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.transformer.adapters.single import Single
from tests.transformer.models import tiny
from tests.transformer.points import SCENE, segment
from wancore.transformer.adapter import Values
from wancore.transformer.attached import Attached
from wancore.transformer.batch import predict_batch
from wancore.transformer.canvas import Canvas, Clock
from wancore.transformer.keys import KeySet
from wancore.transformer.layout import build_layout
from wancore.transformer.levels import Levels
from wancore.transformer.plan import Memory, Plan
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore.transformer.record import record
from wancore.transformer.rows import Rows

META = torch.device("meta")
MODEL = tiny(image_dim=10).to(META)
CANVAS = Canvas(2, 2, 3)
CLOCKS = {
    "one timestep": Clock(),
    "per frame": Clock(torch.tensor([0, 1]), torch.tensor([0.0, 1.0])),
    "per token": Clock(torch.arange(12) % 5, torch.linspace(0, 1, 5)),
}


def on_meta(*shape: int) -> torch.Tensor:
    return torch.empty(*shape, device=META)


def inputs_of(clock: Clock, silent: bool) -> Inputs:
    segments = [segment("running", 4, 6), segment("own", 3, 5, 0.0, not silent)]
    segments = [replace(s, tokens=s.tokens.to(META)) for s in segments]
    layout = build_layout(
        CANVAS, MODEL.frequencies, clock, segments, Plan.causal([6, 13]), frame_levels=True, device=META
    )
    text = EmbeddedText.of(MODEL, on_meta(3, 12), on_meta(5, 10))
    return Inputs(on_meta(4, 2, 4, 6), on_meta(1), layout, text, segments)


@torch.no_grad()
@pytest.mark.parametrize("clock", CLOCKS)
def test_predictions(clock: str) -> None:
    inputs = inputs_of(CLOCKS[clock], silent=True)
    assert predict(MODEL, inputs).device == META
    packed = inputs_of(CLOCKS[clock], silent=False)
    assert [v.device for v in predict_batch(MODEL, [packed, packed])] == [META, META]


@torch.no_grad()
def test_adapters_and_recordings() -> None:
    inputs = inputs_of(CLOCKS["per frame"], silent=True)
    face = inputs.segments[1]
    recorded = record(MODEL, face, CANVAS, "kv")
    keys = KeySet(
        on_meta(2, 3, 2, 24), on_meta(2, 3, 2, 24), (0, 12), lengths=torch.tensor([3, 0], device=META)
    )
    adapter = Single(
        lambda i: {"branch": lambda q, data: Rows(q[2:5], 2)},
        lambda c: [Values(c.e[:, :48], Memory(r.k, r.v), (keys,)) for r in recorded if r.k is not None],
        hint=lambda i, x: Rows(x[:12]),
        tokens=Rows(on_meta(3, 48), 2),
    )
    velocity = predict(MODEL, replace(inputs, data={"a": None}), Attached({"a": adapter}, 2))
    assert velocity.device == META and velocity.shape == SCENE.latents.shape


@pytest.mark.parametrize("clock", ["per frame", "per token"])
def test_nothing_is_copied_in_every_step(clock: str) -> None:
    """An index left on the CPU would work, and cost a transfer at every use."""
    layout = inputs_of(CLOCKS[clock], silent=True).layout
    assert layout.levels.index is not None
    tables = (layout.levels.index, layout.level_source, layout.level_frame, layout.fixed, layout.rotation.cos)
    assert {table.device for table in tables} == {META}
    plain = build_layout(CANVAS, MODEL.frequencies, device=META).levels
    joined = Levels.joined([plain, plain], [12, 12], META)
    assert joined.index is not None and joined.index.device == META
